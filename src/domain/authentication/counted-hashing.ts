/** Password hashing for attempts that count. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { Hashing } from '../../security/passwords.js';

/**
 * Counts an attempt, acquires a hashing slot and hashes.
 * Count and slot go together: a full queue rolls the count back, and an attempt over a limit
 * acquires no slot.
 * @param count throws if the attempt is over a limit
 * @throws {PasswordPoolBusyError} if the queue is full
 */
export async function countAndHash<Counted, T>(
  app: App,
  count: (tx: Database) => Promise<Counted>,
  hash: (hashing: Hashing, counted: Counted) => Promise<T>,
): Promise<T> {
  return app.passwords.withHashingSlot(
    (acquireSlot) =>
      app.db.transaction(async (tx) => {
        const counted = await count(tx);
        acquireSlot();
        return counted;
      }),
    hash,
  );
}
