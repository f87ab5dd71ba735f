/** Read rules of fields. Resolvers enforce them, so they apply on every path to an object. */
import { defaultFieldResolver, type GraphQLFieldResolver, type GraphQLSchema, isObjectType } from 'graphql';
import { hasPermission } from '../../domain/authorization/permissions.js';
import { ForbiddenError, UnauthenticatedError } from '../../domain/errors.js';
import type { Context } from './context.js';
import { toGraphQLError } from './mask-errors.js';

/** Decides synchronously whether the caller may read fields of the object. */
export type ReadRule<T> = (object: T, context: Context) => boolean;

/** Allows the user and staff. A caller that creates an account may read it in the same response. */
export const userAndStaff: ReadRule<{ id: string }> = ({ id }, { viewer, createdUserId }) =>
  id === createdUserId ||
  (viewer !== null && (id === viewer.user.id || hasPermission(viewer.user, 'identity.view_user')));

/** Allows the user of the session and staff. */
export const sessionUserAndStaff: ReadRule<{ userId: string }> = ({ userId }, { viewer }) =>
  viewer !== null && (userId === viewer.user.id || hasPermission(viewer.user, 'identity.view_session'));

/**
 * Lets the resolvers of a type enforce the rules of its fields. Synchronous resolvers stay
 * synchronous.
 * @throws where a field has no rule
 */
export function enforceReadRules(
  schema: GraphQLSchema,
  typeName: string,
  rules: Record<string, ReadRule<never>>,
): void {
  const type = schema.getType(typeName);
  if (!isObjectType(type)) throw new Error(`${typeName} is not an object type`);
  for (const field of Object.values(type.getFields())) {
    const rule = rules[field.name];
    if (rule === undefined) throw new Error(`${typeName}.${field.name} has no read rule`);
    field.resolve = enforcing(rule, field.resolve ?? defaultFieldResolver);
  }
}

function enforcing(
  rule: ReadRule<never>,
  resolve: GraphQLFieldResolver<unknown, Context>,
): GraphQLFieldResolver<unknown, Context> {
  return (source, args, context, info) => {
    if (!isReadable(rule, source, context))
      throw toGraphQLError(context.app, context.viewer === null ? new UnauthenticatedError() : new ForbiddenError());
    return resolve(source, args, context, info);
  };
}

/** Caches the last decision, because the fields of an object are resolved one after the other. */
function isReadable(rule: ReadRule<never>, object: unknown, context: Context): boolean {
  const { lastReading: last, viewer } = context;
  if (last !== null && last.object === object && last.rule === rule && last.viewer === viewer) return last.allowed;
  // The resolvers of a type yield objects of that type only.
  const allowed = rule(object as never, context);
  context.lastReading = { object, rule, viewer, allowed };
  return allowed;
}
