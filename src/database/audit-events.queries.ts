/** Statements about security events. */
import { and, desc, eq, gte, lt, or } from 'drizzle-orm';
import type { Database } from './database.js';
import { type AuditEventKind, type AuditEventRow, auditEvents } from './schema.js';

export type NewAuditEvent = Omit<AuditEventRow, 'id' | 'occurredAt'>;

export async function insertAuditEvents(db: Database, rows: NewAuditEvent[]): Promise<void> {
  await db.insert(auditEvents).values(rows);
}

/** null: whatever it is */
export interface AuditFilter {
  /** who did it, or whom it was done to */
  userId: string | null;
  kind: AuditEventKind | null;
  since: Date | null;
  until: Date | null;
}

/** The newest first, behind the one of an id. */
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
        kind === null ? undefined : eq(auditEvents.kind, kind),
        since === null ? undefined : gte(auditEvents.occurredAt, since),
        until === null ? undefined : lt(auditEvents.occurredAt, until),
        afterId === null ? undefined : lt(auditEvents.id, afterId),
      ),
    )
    .orderBy(desc(auditEvents.id))
    .limit(limit);
}
