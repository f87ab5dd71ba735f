/** The executable schema of all resolvers. */
import 'reflect-metadata';
import { type GraphQLSchema, printSchema } from 'graphql';
import { buildSchemaSync, getMetadataStorage } from 'type-graphql';
import { AuditResolver } from '../audit.resolver.js';
import { CredentialResolver } from '../credential.resolver.js';
import { OneTimePasswordResolver } from '../one-time-password.resolver.js';
import { PolicyResolver } from '../policy.resolver.js';
import { securityTokenTypes } from '../security-token.type.js';
import { SessionResolver } from '../session.resolver.js';
import { sessionReadRules } from '../session.type.js';
import { UserResolver } from '../user.resolver.js';
import { userReadRules } from '../user.type.js';
import { enforceReadRules } from './read-rules.js';
import { addTypedErrors } from './typed-errors.js';

let schema: GraphQLSchema | undefined;

/** Returns the schema. All services of a process share it. */
export function createSchema(): GraphQLSchema {
  if (schema !== undefined) return schema;
  orderArguments();
  const built = addTypedErrors(
    buildSchemaSync({
      resolvers: [
        UserResolver,
        CredentialResolver,
        OneTimePasswordResolver,
        SessionResolver,
        PolicyResolver,
        AuditResolver,
      ],
      orphanedTypes: securityTokenTypes,
      // The domain validates its input and reports all issues at once.
      validate: false,
    }),
  );
  describeOperations(built);
  enforceReadRules(built, 'User', userReadRules);
  enforceReadRules(built, 'Session', sessionReadRules);
  schema = built;
  return schema;
}

/** TypeGraphQL has no option for descriptions of the root types. */
function describeOperations(built: GraphQLSchema): void {
  const [query, mutation] = [built.getQueryType(), built.getMutationType()];
  if (query) query.description = 'Operations that read data.';
  if (mutation) mutation.description = 'Operations that change data. A document may have only one root field.';
}

/**
 * Sorts arguments by declaration, because parameter decorators run from the last parameter to the
 * first.
 */
function orderArguments(): void {
  getMetadataStorage().params.sort((one, other) => one.index - other.index);
}

/** Prints the schema, the content of `schema.graphql`. */
export function emitSchema(): string {
  return `${printSchema(createSchema())}\n`;
}
