/** The limits of a GraphQL document. */
import {
  type ASTVisitor,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';

/** The maximum number of tokens. The standard introspection query has 183. */
export const maxTokens = 500;
/**
 * The maximum number of selections after all fragments are expanded. The standard introspection
 * query has fewer than 700.
 */
export const maxSelections = 1000;
const maxDepth = 8;
const maxDirectives = 20;
/** The maximum number of errors in a response. The first errors suffice to find the cause. */
export const maxErrors = 5;

/** Allows 8 levels of nested fields. Introspection has limits of its own in graphql-js. */
export function maxDepthRule(context: ValidationContext): ASTVisitor {
  const depths = new Map<string, number>();
  function depthOf({ selections }: SelectionSetNode): number {
    return Math.max(
      0,
      ...selections.map((selection) => {
        if (selection.kind === Kind.INLINE_FRAGMENT) return depthOf(selection.selectionSet);
        if (selection.kind === Kind.FRAGMENT_SPREAD) return depthOfFragment(selection.name.value);
        if (selection.name.value.startsWith('__')) return 1;
        return 1 + (selection.selectionSet ? depthOf(selection.selectionSet) : 0);
      }),
    );
  }
  function depthOfFragment(name: string): number {
    const known = depths.get(name);
    if (known !== undefined) return known;
    // Stops at a fragment that spreads itself. The standard rules report it.
    depths.set(name, 0);
    const fragment = context.getFragment(name);
    const depth = fragment ? depthOf(fragment.selectionSet) : 0;
    depths.set(name, depth);
    return depth;
  }
  return {
    OperationDefinition(operation) {
      if (depthOf(operation.selectionSet) > maxDepth)
        context.reportError(
          new GraphQLError(`A document may be at most ${maxDepth} fields deep.`, { nodes: operation }),
        );
    },
  };
}

/** Allows at most 20 directives in a document. */
export function maxDirectivesRule(context: ValidationContext): ASTVisitor {
  let count = 0;
  return {
    Directive(directive) {
      count += 1;
      if (count !== maxDirectives + 1) return;
      context.reportError(
        new GraphQLError(`A document may contain at most ${maxDirectives} directives.`, { nodes: directive }),
      );
    },
  };
}

/**
 * Allows one root field in a mutation, because aliases and fragments would allow several attempts
 * in one request.
 * Counts fields that a directive skips, too.
 */
export function singleMutationFieldRule(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      if (operation.operation !== 'mutation') return;
      if (rootFields(operation, (name) => context.getFragment(name)).length > 1)
        context.reportError(new GraphQLError('A mutation may have only one root field.', { nodes: operation }));
    },
  };
}

/**
 * Lists the root fields of the operation without introspection fields, and expands fragments.
 * Expands each fragment once, because a repeated spread selects the same fields.
 */
export function rootFields(
  { selectionSet }: OperationDefinitionNode,
  fragmentOf: (name: string) => FragmentDefinitionNode | null | undefined,
): string[] {
  const visited = new Set<string>();
  const fieldsOf = ({ selections }: SelectionSetNode): string[] =>
    selections.flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return selection.name.value.startsWith('__') ? [] : [selection.name.value];
      if (selection.kind === Kind.INLINE_FRAGMENT) return fieldsOf(selection.selectionSet);
      if (visited.has(selection.name.value)) return [];
      visited.add(selection.name.value);
      // The standard rules report a missing fragment.
      const fragment = fragmentOf(selection.name.value);
      return fragment ? fieldsOf(fragment.selectionSet) : [];
    });
  return fieldsOf(selectionSet);
}
