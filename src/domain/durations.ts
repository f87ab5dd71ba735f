/** Durations that no variable configures. Statements receive them as parameters. */

const day = 86_400;

/** How long an authentication counts as recent, and a proof as fresh. */
export const recentAuthenticationSeconds = 600;

/** Age from which a password or an address gives fresh proof. */
export const minProofAgeSeconds = day;

/** How long an account counts as new. What it gets in this time needs no age to give proof. */
export const newAccountSeconds = 3_600;

/** Age until which a password reset drops addresses that were verified after the one it proves. */
export const droppableAddressSeconds = 7 * day;

/** How long after its loss of an address an account is told. */
export const lossNoticeDelaySeconds = day;

/** How long the last refresh can be repeated: the client may have missed the response. */
export const refreshRetrySeconds = 10;

/** Minimum time between two stored uses of a session. */
export const touchIntervalSeconds = 60;

/** How long a device and a network stay known after a sign-in. */
export const knownDeviceSeconds = 30 * day;

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
