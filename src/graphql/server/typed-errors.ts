/**
 * Returns expected errors as members of the result union of the operation, if the document selects
 * them.
 * Otherwise they are top-level errors with the same fields, so a document that omits the member
 * still fails visibly.
 */
import {
  GraphQLError,
  type GraphQLFieldResolver,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  getNamedType,
  isAbstractType,
  isIntrospectionType,
  isObjectType,
  isUnionType,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import { type ClassType, createUnionType } from 'type-graphql';
import { ExpectedError, TimeoutError } from '../../domain/errors.js';
import type { Context } from './context.js';
import { toGraphQLError } from './mask-errors.js';

/** Creates the result union of an operation: its success type and its expected errors. */
export function resultUnion<Success extends ClassType>(success: Success, refusals: ClassType[], operation: string) {
  const name = success.name.replace(/Type$/, '');
  return createUnionType({
    name: name.replace(/Success$/, 'Result'),
    description: `Result of \`${operation}\`: the success, or an expected error.`,
    types: () => [success, ...refusals],
    // Only errors have a `__typename`.
    resolveType: (value: { __typename?: string }) => value.__typename ?? name,
  });
}

/** Returns the fields of an expected error and its message, without the name. */
export function toErrorFields(refusal: ExpectedError): Record<string, unknown> & { message: string } {
  const { name: _, ...facts } = { ...refusal };
  return { ...facts, message: refusal.message };
}

/**
 * Wraps all resolvers of the schema: operations return expected errors as data, and other fields
 * mask internal errors.
 */
export function addTypedErrors(schema: GraphQLSchema): GraphQLSchema {
  const operations: unknown[] = [schema.getQueryType(), schema.getMutationType()];
  for (const type of Object.values(schema.getTypeMap())) {
    // Types of introspection belong to every schema.
    if (!isObjectType(type) || isIntrospectionType(type)) continue;
    const wrap = operations.includes(type) ? withTypedErrors : withMasking;
    for (const field of Object.values(type.getFields())) if (field.resolve) field.resolve = wrap(field.resolve);
  }
  return schema;
}

function withMasking(resolve: GraphQLFieldResolver<unknown, Context>): GraphQLFieldResolver<unknown, Context> {
  return async (source, args, context, info) => {
    try {
      return await resolve(source, args, context, info);
    } catch (error) {
      throw toGraphQLError(context.app, error);
    }
  };
}

/** Outcomes that mark the span as failed, because the service caused them. */
const serverFaults = new Set(['INTERNAL_SERVER_ERROR', 'SERVICE_UNAVAILABLE']);

function withTypedErrors(resolve: GraphQLFieldResolver<unknown, Context>): GraphQLFieldResolver<unknown, Context> {
  return (source, args, context, info) => {
    const { metrics, tracing } = context.app;
    const { fieldName } = info;
    const { operation } = info.operation;
    // The name of the field, because the client chooses the name of the document.
    const attributes = { 'graphql.operation.type': operation, 'flex_identity.operation': fieldName };
    return tracing.withSpan({ name: `${operation} ${fieldName}`, kind: 'internal', attributes }, async (span) => {
      const start = performance.now();
      const recordOutcome = (outcome: string) => {
        metrics.answered(fieldName, outcome, (performance.now() - start) / 1000);
        span.setAttributes({ 'flex_identity.outcome': outcome });
        if (serverFaults.has(outcome)) span.fail(outcome);
      };
      try {
        const answer = await resolve(source, args, context, info);
        recordOutcome('ok');
        return answer;
      } catch (error) {
        if (!(error instanceof ExpectedError)) {
          const masked = toGraphQLError(context.app, error);
          recordOutcome(String(masked.extensions.code));
          throw masked;
        }
        recordOutcome(error.code);
        const type = getNamedType(info.returnType);
        const member = isUnionType(type) ? type.getTypes().find(({ name }) => name === error.name) : undefined;
        if (member === undefined) throw toHttpRateLimitError(error);
        if (!isSelected(info, type.name, member)) throw toTopLevelError(error);
        return { __typename: error.name, ...toErrorFields(error) };
      }
    });
  };
}

function toTopLevelError(refusal: ExpectedError, http?: object): GraphQLError {
  const { message, ...facts } = toErrorFields(refusal);
  return new GraphQLError(message, { extensions: { ...facts, ...(http && { http }) } });
}

/** Adds the HTTP status of a rate limit, for an operation without a result union. */
function toHttpRateLimitError(refusal: ExpectedError): GraphQLError {
  if (!(refusal instanceof TimeoutError)) return toTopLevelError(refusal);
  return toTopLevelError(refusal, {
    status: 429,
    headers: new Map([['retry-after', String(refusal.retryAfterSeconds)]]),
  });
}

/**
 * Returns whether the selection contains a fragment on the member or on its interface.
 * A bare `__typename` does not count, because clients add it everywhere. `@skip` and `@include` are
 * respected.
 */
function isSelected(info: GraphQLResolveInfo, unionName: string, member: GraphQLObjectType): boolean {
  const selecting = new Set([member.name, ...member.getInterfaces().map(({ name }) => name)]);
  const visited = new Set<string>();
  // Visit each fragment once: nested spreads can repeat a fragment exponentially often.
  const seen = (name: string) => visited.size === visited.add(name).size;

  function holds({ selections }: SelectionSetNode): boolean {
    return selections.some((selection) => {
      if (selection.kind === Kind.FIELD) return false;
      if (getDirectiveValues(GraphQLSkipDirective, selection, info.variableValues)?.if === true) return false;
      if (getDirectiveValues(GraphQLIncludeDirective, selection, info.variableValues)?.if === false) return false;
      if (selection.kind === Kind.FRAGMENT_SPREAD && seen(selection.name.value)) return false;
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : info.fragments[selection.name.value];
      if (fragment === undefined) return false;
      const condition = fragment.typeCondition?.name.value ?? unionName;
      if (selecting.has(condition)) return true;
      // A fragment on the union or on another abstract type of the member may contain a fragment on
      // the member.
      const type = info.schema.getType(condition);
      return isAbstractType(type) && info.schema.isSubType(type, member) && holds(fragment.selectionSet);
    });
  }
  return info.fieldNodes.some(({ selectionSet }) => selectionSet !== undefined && holds(selectionSet));
}
