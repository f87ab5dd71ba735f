/** What a document may hold. */
import {
  type ASTVisitor,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';

/** What the parser stops at. The standard introspection query has 183. */
export const maxTokens = 500;
/** Counted with every fragment put where it is spread. The standard introspection query has fewer than 700. */
export const maxSelections = 1000;
const maxDepth = 8;
const maxDirectives = 20;
/** Of an answer: the first ones tell what is wrong. */
export const maxErrors = 5;

/** Fields in fields, 8 at most. Introspection is as deep as its tools ask, and is bounded by rules of its own. */
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
    // One that spreads itself is reported by the specification's own rules.
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
          new GraphQLError(`A document may be ${maxDepth} fields deep, and not more.`, { nodes: operation }),
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
        new GraphQLError(`A document may hold ${maxDirectives} directives, and not more.`, { nodes: directive }),
      );
    },
  };
}

/**
 * One root field in a mutation: a second one, by alias or through fragments, would be a second attempt in one request.
 * Counted in the document as written, whether a directive skips it or not.
 */
export function singleMutationFieldRule(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      if (operation.operation !== 'mutation') return;
      if (rootFields(operation, (name) => context.getFragment(name)).length > 1)
        context.reportError(new GraphQLError('A mutation may have one root field only.', { nodes: operation }));
    },
  };
}

/**
 * The names of the fields that the operation asks of its root, in fragments or not, less those of introspection.
 * Of a fragment that is spread twice the fields are the same, and so are executed once.
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
      // One that is missing is reported by the specification's own rules.
      const fragment = fragmentOf(selection.name.value);
      return fragment ? fieldsOf(fragment.selectionSet) : [];
    });
  return fieldsOf(selectionSet);
}
