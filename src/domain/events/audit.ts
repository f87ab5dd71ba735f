/** The audit log: events of accounts. It holds neither secrets nor user input. */
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
import { addressKinds, pendingFields } from '../identifiers.js';
import { decodeCursor, encodeCursor, invalidCursor, type Page, readPage } from '../pages.js';
import type { EventBatch, IdentityEvent } from './events.js';

export type { AuditEventKind } from '../../database/schema.js';

/** An audit event without the data of the request. */
interface AuditFacts<Kind = AuditEventKind> {
  kind: Kind;
  /** the affected user; null if there is none, as for a sign-in with an unknown identifier */
  subjectId: string | null;
  /** default: the signed-in caller */
  actorId?: string;
  sessionId?: string | undefined;
  securityTokenId?: string;
  detail?: string;
}

/** Inserts audit events as the last statement of a transaction. Logs them after the commit. */
export const auditSubscriber: Subscriber<EventBatch> = {
  async beforeCommit(tx, batch) {
    const rows = toRows(batch);
    if (rows.length > 0) await insertAuditEvents(tx, rows);
  },
  afterCommit(app, batch) {
    for (const row of toRows(batch)) app.log.info({ audit: row }, 'security event');
  },
};

/** Events without a transaction: rejected attempts, and messages that a provider accepted. */
type AttemptKind =
  | 'CURRENT_PASSWORD_REFUSED'
  | 'ONE_TIME_PASSWORD_REFUSED'
  | 'ONE_TIME_PASSWORD_SENT'
  | 'ONE_TIME_PASSWORD_THROTTLED'
  | 'SIGN_IN_FAILED'
  | 'SIGN_IN_THROTTLED';

/** Records an event in the background. A crash loses the latest, a flood all but the first. */
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

/** Exceeds the usual length because it has a case per type of event. */
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
      // PASSWORD_RESET records it.
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
    case 'identifiers-changed': {
      const { user, fields } = event;
      const added = addressKinds.filter((kind) => {
        const field = pendingFields[kind];
        return fields.includes(field) && user[field] !== null;
      });
      return [
        { kind: 'IDENTIFIERS_CHANGED', subjectId: user.id, detail: fields.join(', ') },
        ...added.map((detail) => ({ kind: 'ADDRESS_ADDED' as const, subjectId: user.id, detail })),
      ];
    }
    case 'address-verified': {
      const { user, securityTokenId, kind: detail } = event;
      return [{ kind: 'ADDRESS_VERIFIED', subjectId: user.id, actorId: user.id, securityTokenId, detail }];
    }
    case 'address-lost': {
      const { userId: subjectId, securityTokenId, kind: detail } = event;
      return [{ kind: 'ADDRESS_LOST', subjectId, securityTokenId, detail }];
    }
    case 'ownership-proven': {
      const { userId, securityTokenId } = event;
      return [{ kind: 'OWNERSHIP_PROVEN', subjectId: userId, actorId: userId, securityTokenId }];
    }
    case 'reauthenticated':
      return [{ kind: 'REAUTHENTICATED', subjectId: event.userId, sessionId: event.sessionId }];
    case 'activation-changed':
      return [{ kind: 'ACTIVATION_CHANGED', subjectId: event.userId, detail: `isActive: ${event.isActive}` }];
    case 'role-changed':
      return [{ kind: 'ROLES_CHANGED', subjectId: event.before.id, detail: `${event.role}: ${event.granted}` }];
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
 * Returns a page of audit events, newest first.
 * @throws {ForbiddenError} if the caller is not a superuser
 * @throws {BadUserInputError} for an invalid page size or cursor, or a year outside 1–9999
 */
export async function listAuditEvents(
  app: App,
  actor: Actor,
  { first, after, ...filter }: AuditQuery,
): Promise<Page<AuditEventRow>> {
  requirePermission(actor, 'identity.view_audit_event');
  for (const instant of [filter.since, filter.until])
    if (instant !== null && !hasValidYear(instant)) throw new BadUserInputError('The year must be between 1 and 9999.');
  return readPage({ first, after }, async (limit) => {
    const position = after === null ? null : readPosition(after);
    if (filter.userId !== null && !isId(filter.userId)) return [];
    const found = await findAuditEvents(app.db, filter, limit, position);
    return found.map((node) => ({ cursor: encodeCursor(`event ${node.id}`), node }));
  });
}

/** Whether PostgreSQL accepts the year in ISO 8601. */
function hasValidYear(instant: Date): boolean {
  const year = instant.getUTCFullYear();
  return year >= 1 && year <= 9999;
}

function readPosition(cursor: string): bigint {
  const [, id] = /^event (\d{1,18})$/.exec(decodeCursor(cursor)) ?? [];
  if (id === undefined) throw invalidCursor();
  return BigInt(id);
}
