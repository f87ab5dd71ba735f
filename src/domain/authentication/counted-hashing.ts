/** Hashing for an attempt that counts. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { Hashing } from '../../security/passwords.js';

/**
 * Counts an attempt, enters the hashing queue and hashes. Either the attempt is counted and admitted to the queue, or neither:
 * a full queue rolls the count back, and an attempt over a limit takes no place in the queue.
 * @param count throws where the attempt is over a limit
 * @throws {PasswordPoolBusyError} where the queue is full
 */
export async function countAndHash<Counted, T>(
  app: App,
  count: (tx: Database) => Promise<Counted>,
  hash: (hashing: Hashing, counted: Counted) => Promise<T>,
): Promise<T> {
  return app.passwords.admitted(
    (enterQueue) =>
      app.db.transaction(async (tx) => {
        const counted = await count(tx);
        enterQueue();
        return counted;
      }),
    hash,
  );
}
