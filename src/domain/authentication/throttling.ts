/** Waits after consecutive failures. The database holds the counts and the clock. */

export interface ThrottlePolicy {
  maxRetryDelaySeconds: number;
  /** number of consecutive failures that causes `lockedWaitSeconds`; null: none does */
  maxFailures: number | null;
}

export const lockedWaitSeconds = 86_400;

/** Returns the wait after n consecutive failures: 0, 1, 2, 4 … seconds. Never decreases with n. */
export function waitSeconds(failureCount: number, { maxRetryDelaySeconds, maxFailures }: ThrottlePolicy): number {
  if (failureCount <= 0) return 0;
  const wait = Math.min(2 ** (failureCount - 1), maxRetryDelaySeconds);
  const locked = maxFailures !== null && failureCount >= maxFailures;
  return locked ? Math.max(lockedWaitSeconds, wait) : wait;
}

/** Returns the waits after 1, 2, 3 … failures. The last repeats; SQL reads `least(n, length)`. */
export function waitSchedule(policy: ThrottlePolicy): number[] {
  const longest = waitSeconds(Number.POSITIVE_INFINITY, policy);
  const schedule: number[] = [];
  do {
    schedule.push(waitSeconds(schedule.length + 1, policy));
  } while (schedule.at(-1) !== longest);
  return schedule;
}
