/** When the next attempt opens after failures in a row. Only counting: the database holds the counts and the clock. */

export interface ThrottlePolicy {
  maxWaitSeconds: number;
  /** From this many consecutive failures on the wait is `lockedWaitSeconds`; null: never. */
  maxFailures: number | null;
}

export const lockedWaitSeconds = 86_400;

/** How long the next attempt stays closed after so many consecutive failures: 0, 1, 2, 4 … seconds. It never falls as they grow. */
export function waitSeconds(failureCount: number, { maxWaitSeconds, maxFailures }: ThrottlePolicy): number {
  if (failureCount <= 0) return 0;
  const wait = Math.min(2 ** (failureCount - 1), maxWaitSeconds);
  const locked = maxFailures !== null && failureCount >= maxFailures;
  return locked ? Math.max(lockedWaitSeconds, wait) : wait;
}

/** The waits after 1, 2, 3 … failures, up to the one that holds for all that follow: in SQL, element `least(n, length)`. */
export function waitSchedule(policy: ThrottlePolicy): number[] {
  const longest = waitSeconds(Number.POSITIVE_INFINITY, policy);
  const schedule: number[] = [];
  do {
    schedule.push(waitSeconds(schedule.length + 1, policy));
  } while (schedule.at(-1) !== longest);
  return schedule;
}
