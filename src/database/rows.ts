/** Types of result rows that Drizzle cannot infer. */
import type { SQL } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** Returns the row of a statement that returns exactly one. */
export function onlyRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('The statement returned no row.');
  return row;
}

/** Reads the values of the expression like those of the column. */
export function readAs<Value>(expression: SQL, column: PgColumn): SQL<Value> {
  // Invariant: `Value` is the column's type, or null if the expression can be null.
  return expression.mapWith(column) as SQL<Value>;
}
