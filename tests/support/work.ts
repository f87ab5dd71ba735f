/**
 * Counts the work of a request: statements, hashes and scores. Counts do not depend on the load of
 * the machine.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { after, mock } from 'node:test';
import pg from 'pg';
import { Piscina } from 'piscina';

export interface Work {
  /** names or texts of the statements in order, without audit events */
  statements: string[];
  /** hashes and verifications in order, with their bcrypt cost */
  hashes: string[];
  /** scored passwords */
  scores: string[];
}

/**
 * Observes the services of this process until the tests of this file end.
 * @returns runs a request, and returns its work before the response, without that of concurrent
 * requests
 */
export function watchWork(): <T>(ask: () => Promise<T>) => Promise<{ answer: T; work: Work }> {
  const current = new AsyncLocalStorage<Work | undefined>();
  let asked: Work | undefined;
  // The server receives the request in a new asynchronous context.
  const begin = () => current.enterWith(asked);
  const channel = 'http.server.request.start';
  subscribe(channel, begin);

  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  const queries = mock.method(pg.Client.prototype, 'query', function (this: pg.Client, ...args: unknown[]) {
    const [statement] = args as [string | { name?: string; text?: string }];
    const named = typeof statement === 'string' ? { text: statement } : statement;
    const what = named.name ?? named.text ?? 'a cursor';
    // Audit events of several requests are written together, before or after a response.
    if (!what.startsWith('insert into "audit_events"')) current.getStore()?.statements.push(what);
    return query.apply(this, args);
  });
  const run = Piscina.prototype.run as (...args: unknown[]) => unknown;
  const runs = mock.method(Piscina.prototype, 'run', function (this: Piscina, ...args: unknown[]) {
    const work = current.getStore();
    const [{ task, password, cost, bcryptHash }] = args as [Record<string, string | number | undefined>];
    if (task === undefined) work?.scores.push(String(password));
    else work?.hashes.push(`${task} ${Number(cost ?? String(bcryptHash).slice(4, 6))}`);
    return run.apply(this, args);
  });
  after(() => {
    unsubscribe(channel, begin);
    queries.mock.restore();
    runs.mock.restore();
  });

  return async (ask) => {
    const work: Work = { statements: [], hashes: [], scores: [] };
    asked = work;
    try {
      const answer = await ask();
      // Work after the response has the same context.
      return { answer, work: structuredClone(work) };
    } finally {
      asked = undefined;
    }
  };
}
