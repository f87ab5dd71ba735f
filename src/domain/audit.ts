/** Security events: told of in the log and kept in the database, for those who look after the accounts. Never a secret, and nothing that was typed. */
import type { App } from '../app.js';
import { type AuditFilter, findAuditEvents } from '../database/audit-events.queries.js';
import type { AuditEventKind, AuditEventRow } from '../database/schema.js';
import { isId, requirePermission } from './authority.js';
import type { Caller } from './caller.js';
import { BadUserInputError } from './errors.js';
import { cursorOf, foreignCursor, type Page, readCursor, readPage } from './pages.js';

export type { AuditEventKind } from '../database/schema.js';

export interface SecurityEvent {
  kind: AuditEventKind;
  /** whom it was done to; null where nobody is concerned, such as a sign-in by a name that nobody has */
  subjectId: string | null;
  /** who did it; absent: the caller, where signed in */
  actorId?: string;
  sessionId?: string | undefined;
  securityTokenId?: string;
  detail?: string;
}

/**
 * Notes that something has happened; to be called once it is committed.
 * @param caller null on the command line
 */
export function audit(app: App, caller: Caller | null, event: SecurityEvent): void {
  app.record({
    kind: event.kind,
    actorId: event.actorId ?? caller?.viewer?.user.id ?? null,
    subjectId: event.subjectId,
    sessionId: event.sessionId ?? null,
    securityTokenId: event.securityTokenId ?? null,
    detail: event.detail ?? null,
    ipAddress: caller?.client.ipAddress ?? null,
    userAgent: caller?.client.userAgent ?? null,
  });
}

/** Notes that sessions of a user have ended, if there were any. */
export function auditEnds(app: App, caller: Caller | null, userId: string, reason: string, count: number): void {
  if (count > 0) audit(app, caller, { kind: 'SESSION_ENDED', subjectId: userId, detail: `${count}: ${reason}` });
}

export interface AuditQuery extends AuditFilter {
  first: number;
  after: string | null;
}

/**
 * A page of security events, the newest first.
 * @throws {ForbiddenError} for anyone but superusers
 * @throws {BadUserInputError} for a page size out of 1–100, a year out of 1–9999, and a cursor that was not given out for this list
 */
export async function listAuditEvents(
  app: App,
  caller: Caller,
  { first, after, ...filter }: AuditQuery,
): Promise<Page<AuditEventRow>> {
  requirePermission(caller, 'identity.view_audit_event');
  for (const instant of [filter.since, filter.until])
    if (instant !== null && !hasYear(instant)) throw new BadUserInputError('The year must be from 1 to 9999.');
  return readPage({ first, after }, async (limit) => {
    const position = after === null ? null : readPosition(after);
    if (filter.userId !== null && !isId(filter.userId)) return [];
    const found = await findAuditEvents(app.db, filter, limit, position);
    return found.map((node) => ({ cursor: cursorOf(`event ${node.id}`), node }));
  });
}

/** As PostgreSQL reads it in ISO 8601. */
function hasYear(instant: Date): boolean {
  const year = instant.getUTCFullYear();
  return year >= 1 && year <= 9999;
}

function readPosition(cursor: string): bigint {
  const [, id] = /^event (\d{1,18})$/.exec(readCursor(cursor)) ?? [];
  if (id === undefined) throw foreignCursor();
  return BigInt(id);
}
