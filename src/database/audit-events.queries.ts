/** Statements on audit events. */
import { and, desc, eq, gte, lt, or, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import {
  type AuditEventKind,
  type AuditEventRow,
  auditEventKinds,
  auditEvents,
  pgArray,
  storedAuditEventKinds,
} from './schema.js';

export type NewAuditEvent = Omit<AuditEventRow, 'id' | 'occurredAt'>;

/**
 * Inserts the events as one JSON parameter. A value per column and row costs more to build and
 * parse than the insert itself.
 */
export async function insertAuditEvents(db: Database, events: NewAuditEvent[]): Promise<void> {
  const rows = JSON.stringify(
    events.map((event) => ({
      kind: event.kind,
      actor_id: event.actorId,
      subject_id: event.subjectId,
      session_id: event.sessionId,
      security_token_id: event.securityTokenId,
      detail: event.detail,
      ip_address: event.ipAddress,
      user_agent: event.userAgent,
    })),
  );
  const columns = sql.raw('kind, actor_id, subject_id, session_id, security_token_id, detail, ip_address, user_agent');
  await db.execute(
    sql`insert into ${auditEvents} (${columns}) select ${columns} from jsonb_populate_recordset(null::${auditEvents}, ${rows}::jsonb)`,
  );
}

/** The filter of a list. null: no restriction. */
export interface AuditFilter {
  /** the user who acted or who was affected */
  userId: string | null;
  kind: AuditEventKind | null;
  since: Date | null;
  until: Date | null;
}

/** Returns events, newest first, older than `afterId`. */
export async function findAuditEvents(
  db: Database,
  { userId, kind, since, until }: AuditFilter,
  limit: number,
  afterId: bigint | null,
): Promise<AuditEventRow[]> {
  return db
    .select()
    .from(auditEvents)
    .where(
      and(
        userId === null ? undefined : or(eq(auditEvents.actorId, userId), eq(auditEvents.subjectId, userId)),
        hasKind(kind),
        since === null ? undefined : gte(auditEvents.occurredAt, since),
        until === null ? undefined : lt(auditEvents.occurredAt, until),
        afterId === null ? undefined : lt(auditEvents.id, afterId),
      ),
    )
    .orderBy(desc(auditEvents.id))
    .limit(limit);
}

/**
 * Matches the kind, or every kind that this version knows: a newer version may have stored others.
 * A single name is compared by `=`, so that the index also gives the order.
 */
function hasKind(kind: AuditEventKind | null): SQL {
  const names = storedAuditEventKinds(kind === null ? auditEventKinds : [kind]);
  return names.length === 1
    ? sql`${auditEvents.kind} = ${names[0]}`
    : sql`${auditEvents.kind} = any(${pgArray(names)})`;
}
