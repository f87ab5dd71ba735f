/** Bounds the hashing queue, so no request waits longer than a response may take. */

/** The queue is full: a further request would wait too long for a thread. */
export class PasswordPoolBusyError extends Error {
  override readonly name = 'PasswordPoolBusyError';
}

/** Leaves 0.4 s of the 2 s response time for the rest of the request. */
const longestWaitMilliseconds = 1_600;

export interface HashingQueue {
  /** Checks for a free slot without acquiring it. @throws {PasswordPoolBusyError} */
  requireFreeSlot(): void;
  /**
   * Acquires a slot in the hashing queue.
   * @returns releases the slot; pass the milliseconds that a thread spent
   * @throws {PasswordPoolBusyError}
   */
  acquire(): (spentMilliseconds: number) => void;
}

/**
 * Creates a queue.
 * @param expectedMilliseconds first estimate of the work of one slot; measurements refine it
 */
export function createHashingQueue(threads: number, expectedMilliseconds: number): HashingQueue {
  let expected = expectedMilliseconds;
  let usedSlots = 0;

  function requireFreeSlot(): void {
    const endsAfterMilliseconds = ((usedSlots + 1) / threads) * expected;
    // Never refuse while a thread is idle.
    if (usedSlots >= threads && endsAfterMilliseconds > longestWaitMilliseconds) throw new PasswordPoolBusyError();
  }

  return {
    requireFreeSlot,
    acquire() {
      requireFreeSlot();
      usedSlots += 1;
      return (spentMilliseconds) => {
        usedSlots -= 1;
        if (spentMilliseconds > 0) expected += (spentMilliseconds - expected) / 8;
      };
    },
  };
}
