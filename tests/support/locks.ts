/** Locks that a test holds in PostgreSQL, so that the service has to wait. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** Begins a transaction, past the service, that holds what the statement locks until it is released. */
export async function holdLock(databaseUrl: string, statement: string) {
  const [holder, observer] = [new pg.Client(databaseUrl), new pg.Client(databaseUrl)];
  await Promise.all([holder.connect(), observer.connect()]);
  await holder.query(`begin; ${statement}`);
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  return {
    query: (text: string) => holder.query(text),
    /** Resolves once so many statements wait for a lock. */
    async awaited(count = 1): Promise<void> {
      // By a connection of its own: a transaction sees the activity as it was when it first looked.
      while ((await observer.query(waiting)).rows.length < count) await delay(10);
    },
    async release(): Promise<void> {
      await holder.query('commit');
      await Promise.all([holder.end(), observer.end()]);
    },
  };
}
