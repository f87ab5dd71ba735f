/** Operations on security events. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Arg, Ctx, ID, Int, Query, Resolver } from 'type-graphql';
import { type AuditEventKind, listAuditEvents } from '../domain/events/audit.js';
import { AuditEventConnectionType, AuditEventKindEnum } from './audit.type.js';
import { toConnection } from './connection.type.js';
import type { Context } from './server/context.js';

@Resolver()
export class AuditResolver {
  @Query(() => AuditEventConnectionType, {
    description:
      'Security events, the newest first: those of a user, of a kind, of a time, or all. An event is listed within a second. Superusers only.',
  })
  // More than four parameters, because TypeGraphQL passes each argument of the field as one.
  async auditEvents(
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'How many, 1–100.' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'The cursor behind which the page begins.' })
    after: string | null,
    @Arg('userId', () => ID, { nullable: true, description: 'Who did it, or whom it was done to.' })
    userId: string | null,
    @Arg('kind', () => AuditEventKindEnum, { nullable: true, description: 'Events of this kind alone.' })
    kind: AuditEventKind | null,
    @Arg('since', () => GraphQLDateTime, { nullable: true, description: 'From this instant on.' })
    since: Date | null,
    @Arg('until', () => GraphQLDateTime, { nullable: true, description: 'Before this instant.' })
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
