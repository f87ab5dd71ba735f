/** Locks that a test holds in PostgreSQL, so the service must wait. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** Begins a separate transaction that holds the locks of the statement until its release. */
export async function holdLock(databaseUrl: string, statement: string) {
  const [holder, observer] = [new pg.Client(databaseUrl), new pg.Client(databaseUrl)];
  await Promise.all([holder.connect(), observer.connect()]);
  await holder.query(`begin; ${statement}`);
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  return {
    query: (text: string) => holder.query(text),
    /** Resolves once `count` statements wait for a lock. */
    async awaited(count = 1): Promise<void> {
      // Use a separate connection: a transaction caches the activity of its first read.
      while ((await observer.query(waiting)).rows.length < count) await delay(10);
    },
    async release(): Promise<void> {
      await holder.query('commit');
      await Promise.all([holder.end(), observer.end()]);
    },
  };
}
