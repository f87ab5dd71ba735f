/**
 * A refusal on its way out: a member of the operation's result union where the document asks for it, else a top-level error with the same facts,
 * so that no refusal is taken for a success by a document that did not think of it.
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

/** The result union of an operation: what it answers, and the refusals that it discloses. */
export function resultUnion<Success extends ClassType>(success: Success, refusals: ClassType[], operation: string) {
  const name = success.name.replace(/Type$/, '');
  return createUnionType({
    name: name.replace(/Success$/, 'Result'),
    description: `What \`${operation}\` answers: its success, or one of the refusals that it can meet.`,
    types: () => [success, ...refusals],
    // Refusals say what they are; everything else is the success.
    resolveType: (value: { __typename?: string }) => value.__typename ?? name,
  });
}

/** The facts of a refusal, as data: every field of it but what JavaScript adds to an error. */
export function toErrorFields(refusal: ExpectedError): Record<string, unknown> & { message: string } {
  const { name: _, ...facts } = { ...refusal };
  return { ...facts, message: refusal.message };
}

/** Makes every operation of the schema answer its refusals by way of this module, and whatever is resolved its failures by way of `mask-errors.ts`. */
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

/** What is ours to mend, and not the answer to what was asked. */
const faults = new Set(['INTERNAL_SERVER_ERROR', 'SERVICE_UNAVAILABLE']);

function withTypedErrors(resolve: GraphQLFieldResolver<unknown, Context>): GraphQLFieldResolver<unknown, Context> {
  return (source, args, context, info) => {
    const { metrics, tracing } = context.app;
    const { fieldName } = info;
    const { operation } = info.operation;
    // By the field and not by the name in the document, which is the client's own text.
    const attributes = { 'graphql.operation.type': operation, 'flex_identity.operation': fieldName };
    return tracing.withSpan({ name: `${operation} ${fieldName}`, kind: 'internal', attributes }, async (span) => {
      const start = performance.now();
      const recordOutcome = (outcome: string) => {
        metrics.answered(fieldName, outcome, (performance.now() - start) / 1000);
        span.setAttributes({ 'flex_identity.outcome': outcome });
        if (faults.has(outcome)) span.fail(outcome);
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

/** Of an operation that has no union to put it in. */
function toHttpRateLimitError(refusal: ExpectedError): GraphQLError {
  if (!(refusal instanceof TimeoutError)) return toTopLevelError(refusal);
  return toTopLevelError(refusal, {
    status: 429,
    headers: new Map([['retry-after', String(refusal.retryAfterSeconds)]]),
  });
}

/**
 * Whether the selection holds a fragment on the member or on an interface of it. A bare `__typename` does not count: clients add it everywhere.
 * A fragment that `@skip` or `@include` excludes does not either.
 */
function isSelected(info: GraphQLResolveInfo, unionName: string, member: GraphQLObjectType): boolean {
  const selecting = new Set([member.name, ...member.getInterfaces().map(({ name }) => name)]);
  const visited = new Set<string>();
  // Once is enough, and a document may spread one fragment in another many times over.
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
      // A fragment on the union itself, or on something else abstract that the member belongs to, may hold another.
      const type = info.schema.getType(condition);
      return isAbstractType(type) && info.schema.isSubType(type, member) && holds(fragment.selectionSet);
    });
  }
  return info.fieldNodes.some(({ selectionSet }) => selectionSet !== undefined && holds(selectionSet));
}
