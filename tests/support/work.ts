/** What a request makes the service do: the statements it sends, the passwords it hashes and scores. Counts, which no load of the machine changes. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { after, mock } from 'node:test';
import pg from 'pg';
import { Piscina } from 'piscina';

export interface Work {
  /** the names or texts of its statements, in order, but for those that write audit events */
  statements: string[];
  /** what was hashed and verified, with the cost of bcrypt, in order */
  hashes: string[];
  /** the passwords that were scored */
  scores: string[];
}

/**
 * Watches the services of this process until the tests of this file are over.
 * @returns what asks, and gives the work that was done before the answer; requests of others at the same time are not counted
 */
export function watchWork(): <T>(ask: () => Promise<T>) => Promise<{ answer: T; work: Work }> {
  const current = new AsyncLocalStorage<Work | undefined>();
  let asked: Work | undefined;
  // A request is no child of what asked for it: the context begins where the server receives it.
  const begin = () => current.enterWith(asked);
  const channel = 'http.server.request.start';
  subscribe(channel, begin);

  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  const queries = mock.method(pg.Client.prototype, 'query', function (this: pg.Client, ...args: unknown[]) {
    const [statement] = args as [string | { name?: string; text?: string }];
    const named = typeof statement === 'string' ? { text: statement } : statement;
    const what = named.name ?? named.text ?? 'a cursor';
    // Those of many requests are written together, a moment after the answer of one of them or before it.
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
      // What goes on after the answer is of its context too.
      return { answer, work: structuredClone(work) };
    } finally {
      asked = undefined;
    }
  };
}
