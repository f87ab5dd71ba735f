/** How long the database may take, and who enforces it. */

/** The settings of PostgreSQL that end a statement, a wait for a lock and an idle transaction. */
export const timeoutSettings = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;

/** How long a statement, and a wait for a lock, may take. PostgreSQL ends it. */
export const statementTimeoutMs = 5_000;

/** How long a connection may be silent while a statement runs. PostgreSQL answers earlier, so the server or the network is gone. */
export const socketTimeoutMs = 6_000;
