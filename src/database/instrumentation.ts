/** Wraps the statements of a pool, for traces. */
import type pg from 'pg';
import type { InstrumentStatement } from './database.js';

type Query = (...args: unknown[]) => unknown;

/** Wraps `query` of the pool and of each of its connections. */
export function instrumentPool(pool: pg.Pool, instrument: InstrumentStatement): void {
  const wrap = (queryable: { query: unknown }) => {
    // Invariant: `query` of a pool and of a client takes a text or a configuration first.
    // Its overloads cannot be expressed as one type.
    const query = (queryable.query as Query).bind(queryable);
    queryable.query = (...args: unknown[]) =>
      // With a callback, the pool runs a statement that was counted already.
      typeof args.at(-1) === 'function'
        ? query(...args)
        : instrument(statementName(args[0] as string | pg.QueryConfig), async () => query(...args));
  };
  wrap(pool);
  pool.on('connect', wrap);
}

/** Returns the name of a prepared statement, or the verb and first table of another. */
function statementName(query: string | pg.QueryConfig): string {
  const { name, text } = typeof query === 'string' ? { name: undefined, text: query } : query;
  if (name) return name;
  const [verb = 'statement'] = /[a-z]+/i.exec(text) ?? [];
  const [, table] = /\b(?:from|into|update) "?([a-z_]+)/.exec(text) ?? [];
  return [verb.toLowerCase(), table].filter(Boolean).join(' ');
}
