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

/**
 * One root field in a mutation: a second one, by alias or through fragments, would be a second attempt in one request.
 * Counted in the document as written, whether a directive skips it or not.
 */
export function oneRootFieldPerMutation(context: ValidationContext): ASTVisitor {
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
