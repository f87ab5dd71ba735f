/** Cursor pagination. */
import { BadUserInputError } from './errors.js';

export interface Page<Node> {
  edges: { cursor: string; node: Node }[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
}

const maxPageSize = 100;

/**
 * Returns a page. Reads one more node than the page holds, to compute `hasNextPage`.
 * @param after cursor of an earlier page; null for the first page
 * @throws {BadUserInputError} if `first` is not between 1 and 100
 */
export async function readPage<Node>(
  { first, after }: { first: number; after: string | null },
  read: (limit: number) => Promise<Page<Node>['edges']>,
): Promise<Page<Node>> {
  if (first < 1 || first > maxPageSize) throw new BadUserInputError(`first must be between 1 and ${maxPageSize}.`);
  const found = await read(first + 1);
  return { edges: found.slice(0, first), hasNextPage: found.length > first, hasPreviousPage: after !== null };
}

export function encodeCursor(position: string): string {
  return Buffer.from(position).toString('base64url');
}

/** Decodes a cursor, which the client may have forged. */
export function decodeCursor(cursor: string): string {
  return Buffer.from(cursor, 'base64url').toString();
}

export function invalidCursor(): BadUserInputError {
  return new BadUserInputError('The cursor does not belong to this list.');
}
