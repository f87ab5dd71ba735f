/** Durations of the policy that no variable configures. Statements receive them as parameters. */

const day = 86_400;

/** How long a proof of identity counts as recent. */
export const recentAuthenticationSeconds = 600;

/** How long the answer to the last refresh can be had again: the client may not have received it. */
export const refreshRetrySeconds = 10;

/** The use of a session is stored at most once in this time. */
export const touchIntervalSeconds = 60;

/** How long a device, and a network, stays known after a sign-in from it. */
export const knownDeviceSeconds = 30 * day;

/** How long an unverified address beside a verified one keeps others from claiming it. */
export const unverifiedClaimSeconds = day;

/** The window in which the attempts of a client over all accounts are counted. */
export const attemptWindowSeconds = 3_600;

/** How long `prune` keeps rows. Audit events have a variable: `AUDIT_DAYS`. */
export const retention = {
  /** Ended sessions tell which devices are known. */
  sessions: knownDeviceSeconds,
  /** Far longer than the longest wait after failures. */
  failureCounters: 30 * day,
  /** The longest window of a rate limit. */
  rateLimitEvents: day,
  outboxMessages: 7 * day,
};
