/** What the types of Drizzle do not say about the rows of a statement. */
import type { SQL } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** The row of a statement that returns exactly one. */
export function onlyRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('The statement returned no row.');
  return row;
}

/** The expression, whose values are read as those of the column are. */
export function readAs<Value>(expression: SQL, column: PgColumn): SQL<Value> {
  // Invariant: `Value` is what the column reads, or null where the expression may be null, which drizzle cannot know.
  return expression.mapWith(column) as SQL<Value>;
}
