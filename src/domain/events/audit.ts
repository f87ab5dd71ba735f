/** The audit log: what has happened to the accounts, for those who look after them. It holds no secret, and nothing that was typed. */
import type { App, Subscriber } from '../../app/app.js';
import {
  type AuditFilter,
  findAuditEvents,
  insertAuditEvents,
  type NewAuditEvent,
} from '../../database/audit-events.queries.js';
import type { AuditEventKind, AuditEventRow } from '../../database/schema.js';
import type { Actor } from '../actor.js';
import { isId, requirePermission } from '../authorization/authority.js';
import { BadUserInputError } from '../errors.js';
import { decodeCursor, encodeCursor, invalidCursor, type Page, readPage } from '../pages.js';
import type { EventBatch, IdentityEvent } from './events.js';

export type { AuditEventKind } from '../../database/schema.js';

/** An audit event, before it is known where the request came from. */
interface AuditFacts<Kind = AuditEventKind> {
  kind: Kind;
  /** the user whom it concerns; null where it is no user, as at a sign-in by an unknown name */
  subjectId: string | null;
  /** absent: the caller, where signed in */
  actorId?: string;
  sessionId?: string | undefined;
  securityTokenId?: string;
  detail?: string;
}

/** Inserts the audit events of a transaction as its last statement, and logs them once they are committed. */
export const auditSubscriber: Subscriber<EventBatch> = {
  async beforeCommit(tx, batch) {
    const rows = toRows(batch);
    if (rows.length > 0) await insertAuditEvents(tx, rows);
  },
  afterCommit(app, batch) {
    for (const row of toRows(batch)) app.log.info({ audit: row }, 'security event');
  },
};

/** Changes nothing, so that no transaction records it: an attempt that was rejected, or a message that a provider has accepted. */
type AttemptKind =
  | 'CURRENT_PASSWORD_REFUSED'
  | 'ONE_TIME_PASSWORD_REFUSED'
  | 'ONE_TIME_PASSWORD_SENT'
  | 'ONE_TIME_PASSWORD_THROTTLED'
  | 'SIGN_IN_FAILED'
  | 'SIGN_IN_THROTTLED';

/** Records an audit event in the background. The events of a crash's last moment are lost, and in a flood all but the first. */
export function auditAttempt(app: App, actor: Actor, attempt: AuditFacts<AttemptKind>): void {
  app.record(toRow(actor, attempt));
}

function toRows({ actor, events }: EventBatch): NewAuditEvent[] {
  return events.flatMap(toFacts).map((facts) => toRow(actor, facts));
}

function toRow(actor: Actor | null, facts: AuditFacts): NewAuditEvent {
  return {
    kind: facts.kind,
    actorId: facts.actorId ?? actor?.viewer?.user.id ?? null,
    subjectId: facts.subjectId,
    sessionId: facts.sessionId ?? null,
    securityTokenId: facts.securityTokenId ?? null,
    detail: facts.detail ?? null,
    ipAddress: actor?.client.ipAddress ?? null,
    userAgent: actor?.client.userAgent ?? null,
  };
}

/** Longer than other functions: it has a case for each type of event. */
function toFacts(event: IdentityEvent): AuditFacts[] {
  const { type } = event;
  switch (type) {
    case 'signed-up': {
      const { user, session } = event;
      const own = session !== null && { actorId: user.id, sessionId: session.id };
      return [{ kind: 'SIGNED_UP', subjectId: user.id, ...own }];
    }
    case 'superuser-created':
      return [{ kind: 'SUPERUSER_CREATED', subjectId: event.user.id, detail: event.by }];
    case 'signed-in': {
      const { id, userId, authenticationMethods } = event.session;
      const detail = authenticationMethods.join(', ');
      return [{ kind: 'SIGNED_IN', subjectId: userId, actorId: userId, sessionId: id, detail }];
    }
    case 'one-time-password-generated': {
      const { userId: subjectId, securityTokenId, purpose: detail } = event;
      return [{ kind: 'ONE_TIME_PASSWORD_GENERATED', subjectId, securityTokenId, detail }];
    }
    case 'one-time-password-accepted': {
      const { userId, securityTokenId, sessionId, purpose: detail } = event;
      // PASSWORD_RESET tells of it.
      if (detail === 'PASSWORD_RESET') return [];
      const own = { subjectId: userId, actorId: userId };
      return [{ kind: 'ONE_TIME_PASSWORD_ACCEPTED', ...own, securityTokenId, sessionId, detail }];
    }
    case 'security-token-unlocked': {
      const { userId: subjectId, securityTokenId } = event;
      return [{ kind: 'SECURITY_TOKEN_UNLOCKED', subjectId, securityTokenId }];
    }
    case 'password-changed':
      return [{ kind: 'PASSWORD_CHANGED', subjectId: event.user.id }];
    case 'password-set':
      return [{ kind: 'PASSWORD_SET', subjectId: event.user.id }];
    case 'password-reset': {
      const { user, securityTokenId } = event;
      return [{ kind: 'PASSWORD_RESET', subjectId: user.id, actorId: user.id, securityTokenId }];
    }
    case 'password-removed':
      return [{ kind: 'PASSWORD_REMOVED', subjectId: event.userId, actorId: event.userId }];
    case 'identifiers-changed':
      return [{ kind: 'IDENTIFIERS_CHANGED', subjectId: event.user.id, detail: event.fields.join(', ') }];
    case 'address-replaced':
      // The one-time password that was accepted tells of it.
      return [];
    case 'activation-changed':
      return [{ kind: 'ACTIVATION_CHANGED', subjectId: event.userId, detail: `isActive: ${event.isActive}` }];
    case 'role-changed':
      return [{ kind: 'ROLES_CHANGED', subjectId: event.userId, detail: `${event.role}: ${event.granted}` }];
    case 'user-deleted':
      return [{ kind: 'USER_DELETED', subjectId: event.user.id }];
    case 'session-revoked': {
      const { session, reason: detail } = event;
      const own = detail === 'signed out' && { actorId: session.userId };
      return [{ kind: 'SESSION_ENDED', subjectId: session.userId, ...own, sessionId: session.id, detail }];
    }
    case 'sessions-revoked':
      return [{ kind: 'SESSION_ENDED', subjectId: event.userId, detail: `${event.count}: ${event.reason}` }];
    case 'refresh-token-reused':
      return [{ kind: 'REFRESH_TOKEN_REUSED', subjectId: event.user.id, sessionId: event.session.id }];
  }
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
  actor: Actor,
  { first, after, ...filter }: AuditQuery,
): Promise<Page<AuditEventRow>> {
  requirePermission(actor, 'identity.view_audit_event');
  for (const instant of [filter.since, filter.until])
    if (instant !== null && !hasYear(instant)) throw new BadUserInputError('The year must be from 1 to 9999.');
  return readPage({ first, after }, async (limit) => {
    const position = after === null ? null : readPosition(after);
    if (filter.userId !== null && !isId(filter.userId)) return [];
    const found = await findAuditEvents(app.db, filter, limit, position);
    return found.map((node) => ({ cursor: encodeCursor(`event ${node.id}`), node }));
  });
}

/** As PostgreSQL reads it in ISO 8601. */
function hasYear(instant: Date): boolean {
  const year = instant.getUTCFullYear();
  return year >= 1 && year <= 9999;
}

function readPosition(cursor: string): bigint {
  const [, id] = /^event (\d{1,18})$/.exec(decodeCursor(cursor)) ?? [];
  if (id === undefined) throw invalidCursor();
  return BigInt(id);
}
