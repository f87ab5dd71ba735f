/** Operations on the audit log. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Arg, Ctx, ID, Int, Query, Resolver } from 'type-graphql';
import { type AuditEventKind, listAuditEvents } from '../domain/events/audit.js';
import { AuditEventConnectionType, AuditEventKindEnum } from './audit.type.js';
import { toConnection } from './connection.type.js';
import type { Context } from './server/context.js';

@Resolver()
export class AuditResolver {
  @Query(() => AuditEventConnectionType, {
    description: 'Security audit events, newest first. An event is listed within one second. Superusers only.',
  })
  // More than four parameters, because TypeGraphQL passes each argument of the field as one.
  async auditEvents(
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'Page size (1–100).' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'Cursor of the last edge of the previous page.' })
    after: string | null,
    @Arg('userId', () => ID, { nullable: true, description: 'ID of the acting user or of the affected user.' })
    userId: string | null,
    @Arg('kind', () => AuditEventKindEnum, { nullable: true, description: 'Kind of the events to return.' })
    kind: AuditEventKind | null,
    @Arg('since', () => GraphQLDateTime, { nullable: true, description: 'Earliest time of the events, inclusive.' })
    since: Date | null,
    @Arg('until', () => GraphQLDateTime, { nullable: true, description: 'Latest time of the events, exclusive.' })
    until: Date | null,
    @Ctx() context: Context,
  ): Promise<AuditEventConnectionType> {
    const { edges, ...page } = await listAuditEvents(context.app, context, {
      first: first ?? 20,
      after: after ?? null,
      userId: userId ?? null,
      kind: kind ?? null,
      since: since ?? null,
      until: until ?? null,
    });
    return toConnection({
      ...page,
      edges: edges.map(({ cursor, node }) => ({ cursor, node: { ...node, id: String(node.id) } })),
    });
  }
}
