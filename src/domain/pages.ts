/** Pages of a list: how many at a time, and where the next one begins. */
import { BadUserInputError } from './errors.js';

export interface Page<Node> {
  edges: { cursor: string; node: Node }[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
}

const maxPageSize = 100;

/**
 * The page of a list that is read behind a cursor, with one more than it holds, which tells whether something follows.
 * @param after as it was given out; null: from the beginning
 * @throws {BadUserInputError} for a size out of 1–100
 */
export async function readPage<Node>(
  { first, after }: { first: number; after: string | null },
  read: (limit: number) => Promise<Page<Node>['edges']>,
): Promise<Page<Node>> {
  if (first < 1 || first > maxPageSize) throw new BadUserInputError(`first must be from 1 to ${maxPageSize}.`);
  const found = await read(first + 1);
  return { edges: found.slice(0, first), hasNextPage: found.length > first, hasPreviousPage: after !== null };
}

export function encodeCursor(position: string): string {
  return Buffer.from(position).toString('base64url');
}

/** What {@link encodeCursor} was given; whatever a forged one holds. */
export function decodeCursor(cursor: string): string {
  return Buffer.from(cursor, 'base64url').toString();
}

export function invalidCursor(): BadUserInputError {
  return new BadUserInputError('This is not a cursor of this list.');
}
