/** What a failed statement says: which constraint it violated, or that the database is away. */

/** SQLSTATE classes and codes in which a database that will be well again refuses. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
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

/** The name of the constraint that the statement violated; undefined for any other failure. */
export function violatedConstraint(error: unknown): string | undefined {
  const cause = databaseError(error);
  return cause?.code.startsWith('23') ? cause.constraint : undefined;
}

/** Whether the database could not be asked or could not answer, so that the same request may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = getErrorCode(at);
    if (code !== undefined && (network.has(code) || unavailable.test(code))) return true;
    if (pgMessages.test(at.message)) return true;
  }
  return false;
}

/** Drizzle wraps the driver's error, whose fields are those of PostgreSQL's protocol. */
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
