/** Timeouts of the database, and who enforces them. */

/** PostgreSQL settings that end statements, lock waits and idle transactions. */
export const timeoutSettings = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;

/** Maximum time of a statement or lock wait. PostgreSQL enforces it. */
export const statementTimeoutMs = 5_000;

/** Maximum silence during a statement. Longer than PostgreSQL's own limit, so the peer is gone. */
export const socketTimeoutMs = 6_000;
