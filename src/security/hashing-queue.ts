/** Admission to the threads that hash: nobody waits longer than an answer may take. */

/** The threads have more work than anyone should be kept waiting for. */
export class PasswordPoolBusyError extends Error {
  override readonly name = 'PasswordPoolBusyError';
}

/** An answer is to be there within two seconds, and there is more to do for it than to hash. */
const longestWaitMilliseconds = 1_600;

export interface HashingQueue {
  /** @throws {PasswordPoolBusyError} */
  refuseWhenBusy(): void;
  /**
   * Takes a place among those for whom a thread works or will work.
   * @returns what gives it back, told how long a thread has worked
   * @throws {PasswordPoolBusyError}
   */
  enter(): (spentMilliseconds: number) => void;
}

/** @param expectedMilliseconds how long a thread works for one place: supposed at first, then learnt */
export function createHashingQueue(threads: number, expectedMilliseconds: number): HashingQueue {
  let expected = expectedMilliseconds;
  let places = 0;

  function refuseWhenBusy(): void {
    const endsAfterMilliseconds = ((places + 1) / threads) * expected;
    // However long one takes: a thread that has nothing to do is not refused to anyone.
    if (places >= threads && endsAfterMilliseconds > longestWaitMilliseconds) throw new PasswordPoolBusyError();
  }

  return {
    refuseWhenBusy,
    enter() {
      refuseWhenBusy();
      places += 1;
      return (spentMilliseconds) => {
        places -= 1;
        if (spentMilliseconds > 0) expected += (spentMilliseconds - expected) / 8;
      };
    },
  };
}
