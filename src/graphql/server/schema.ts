/** The executable schema, made of the resolvers. */
import 'reflect-metadata';
import { type GraphQLSchema, printSchema } from 'graphql';
import { buildSchemaSync, getMetadataStorage } from 'type-graphql';
import { AuditResolver } from '../audit.resolver.js';
import { CredentialResolver } from '../credential.resolver.js';
import { OneTimePasswordResolver } from '../one-time-password.resolver.js';
import { securityTokenTypes } from '../one-time-password.type.js';
import { PolicyResolver } from '../policy.resolver.js';
import { SessionResolver } from '../session.resolver.js';
import { sessionReadRules } from '../session.type.js';
import { UserResolver } from '../user.resolver.js';
import { userReadRules } from '../user.type.js';
import { enforceReadRules } from './read-rules.js';
import { addTypedErrors } from './typed-errors.js';

let schema: GraphQLSchema | undefined;

/** The same for every service of a process. */
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
      // The domain reads its input itself and answers every fault at once.
      validate: false,
    }),
  );
  enforceReadRules(built, 'User', userReadRules);
  enforceReadRules(built, 'Session', sessionReadRules);
  schema = built;
  return schema;
}

/** Puts arguments in the order of declaration: the decorators of parameters run from the last parameter to the first. */
function orderArguments(): void {
  getMetadataStorage().params.sort((one, other) => one.index - other.index);
}

/** The text of `schema.graphql`. */
export function emitSchema(): string {
  return `${printSchema(createSchema())}\n`;
}
