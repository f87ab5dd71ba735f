/** Classifies failed statements: violated constraint, or database unavailable. */

/**
 * SQLSTATE classes and codes of temporary failures.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const unavailable = /^(08|53|57|58|25006|25P03|55P03|40001|40P01)/;
const network = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const pgMessages =
  /timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error|timeout expired|PGlite is closed/;

/** Returns the name of the violated constraint; undefined for other failures. */
export function violatedConstraint(error: unknown): string | undefined {
  const cause = databaseError(error);
  return cause?.code.startsWith('23') ? cause.constraint : undefined;
}

/** Whether PostgreSQL ended the transaction to resolve a deadlock. */
export function isDeadlock(error: unknown): boolean {
  return databaseError(error)?.code === '40P01';
}

/** Whether the database was unavailable, so that the same request may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = getErrorCode(at);
    if (code !== undefined && (network.has(code) || unavailable.test(code))) return true;
    if (pgMessages.test(at.message)) return true;
  }
  return false;
}

/** Returns the driver's error, which Drizzle wraps. */
function databaseError(error: unknown): { code: string; constraint?: string } | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = getErrorCode(at);
    if (code === undefined) continue;
    return 'constraint' in at && typeof at.constraint === 'string' ? { code, constraint: at.constraint } : { code };
  }
  return undefined;
}

function getErrorCode(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
