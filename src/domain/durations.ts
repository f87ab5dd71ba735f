/** Durations that no variable configures. Statements receive them as parameters. */

const day = 86_400;

/** How long an authentication counts as recent. */
export const recentAuthenticationSeconds = 600;

/** How long the last refresh can be repeated: the client may have missed the response. */
export const refreshRetrySeconds = 10;

/** Minimum time between two stored uses of a session. */
export const touchIntervalSeconds = 60;

/** How long a device and a network stay known after a sign-in. */
export const knownDeviceSeconds = 30 * day;

/** How long an account with a verified address keeps an unverified one reserved. */
export const unverifiedClaimSeconds = day;

/** Window of the failed attempts of a client over all accounts. */
export const attemptWindowSeconds = 3_600;

/** How long `prune` keeps rows. `AUDIT_RETENTION_DAYS` configures audit events. */
export const retention = {
  /** Old sessions identify known devices. */
  sessions: knownDeviceSeconds,
  /** Far longer than the maximum wait after failures. */
  failureCounters: 30 * day,
  /** The longest window of a rate limit. */
  rateLimitEvents: day,
  outboxMessages: 7 * day,
};
