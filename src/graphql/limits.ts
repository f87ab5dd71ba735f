/** What a document may hold. */
import { type ASTVisitor, GraphQLError, Kind, type SelectionSetNode, type ValidationContext } from 'graphql';

/**
 * One root field in a mutation: a second one, by alias or through fragments, would be a second attempt in one request.
 * Counted in the document as written, whether a directive skips it or not.
 */
export function oneRootFieldPerMutation(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      if (operation.operation !== 'mutation') return;
      if (countFields(operation.selectionSet, context, new Set()) > 1)
        context.reportError(new GraphQLError('A mutation may have one root field only.', { nodes: operation }));
    },
  };
}

/** Of a fragment that is spread twice the fields are the same, and so are executed once. */
function countFields({ selections }: SelectionSetNode, context: ValidationContext, visited: Set<string>): number {
  let count = 0;
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) count += selection.name.value.startsWith('__') ? 0 : 1;
    else if (selection.kind === Kind.INLINE_FRAGMENT) count += countFields(selection.selectionSet, context, visited);
    else if (!visited.has(selection.name.value)) {
      visited.add(selection.name.value);
      const fragment = context.getFragment(selection.name.value);
      if (fragment) count += countFields(fragment.selectionSet, context, visited);
    }
  }
  return count;
}
