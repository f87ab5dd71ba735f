/** GraphQL types of the audit log. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import type { AuditEventKind } from '../domain/events/audit.js';
import { PageInfoType } from './connection.type.js';
import { createEnum } from './server/create-enum.js';

export const AuditEventKindEnum = createEnum<AuditEventKind>('AuditEventKind', 'Kind of a security audit event.', {
  SIGNED_UP: 'An account was created, by its user or by another user.',
  SUPERUSER_CREATED: 'A superuser was created. `detail` is the authority that was used.',
  SIGNED_IN: 'A session was opened. `detail` is the authentication method.',
  SIGN_IN_FAILED: 'A password sign-in failed.',
  SIGN_IN_THROTTLED: 'A password sign-in was rate-limited. No password was compared.',
  CURRENT_PASSWORD_REFUSED: 'A signed-in user entered a wrong current password.',
  ONE_TIME_PASSWORD_SENT: 'A one-time password was sent. `detail` is the purpose.',
  ONE_TIME_PASSWORD_GENERATED: 'A superuser generated a one-time password. `detail` is the purpose.',
  ONE_TIME_PASSWORD_ACCEPTED: 'A one-time password was accepted and used up.',
  ONE_TIME_PASSWORD_REFUSED: 'A one-time password was wrong, used, replaced or expired.',
  ONE_TIME_PASSWORD_THROTTLED: 'A one-time password check was rate-limited. No password was compared.',
  SECURITY_TOKEN_UNLOCKED: 'The failed attempts of a security token were cleared.',
  PASSWORD_CHANGED: 'A user changed their password.',
  PASSWORD_RESET: 'A password was reset with a one-time password.',
  PASSWORD_SET: 'A superuser or an operator set a password.',
  PASSWORD_REMOVED:
    'A password was removed when the owner first verified the account, because another person may have set it.',
  IDENTIFIERS_CHANGED: 'Identifiers were added, changed or removed. `detail` lists their kinds, not their values.',
  ACTIVATION_CHANGED: 'An account was activated or deactivated.',
  ROLES_CHANGED: 'A role was granted or removed.',
  USER_DELETED: 'An account was deleted.',
  SESSION_ENDED: 'One or more sessions were revoked. `detail` is the reason.',
  REFRESH_TOKEN_REUSED: 'A used refresh token was presented again, and its session was revoked.',
  ADDRESS_ADDED: 'An address was added, and waits for verification. `detail` is its kind.',
  ADDRESS_VERIFIED: 'An address was verified. `detail` is its kind.',
  ADDRESS_LOST: 'An account lost an unverified address, because another account verified it.',
  OWNERSHIP_PROVEN: 'A code to a reserved address gave the account to its owner. What came before was dropped.',
  REAUTHENTICATED: 'A signed-in user authenticated again with the current password.',
});

@ObjectType('AuditEvent', {
  description: 'A security audit event.',
  simpleResolvers: true,
})
export class AuditEventType {
  @Field(() => ID, { description: 'Monotonically increasing ID.' })
  id!: string;

  @Field(() => AuditEventKindEnum, { description: 'Kind of the event.' })
  kind!: AuditEventKind;

  @Field(() => GraphQLDateTime, { description: 'Time of the event, accurate to one second.' })
  occurredAt!: Date;

  @Field(() => ID, { nullable: true, description: 'ID of the acting user. Null if the client was not signed in.' })
  actorId!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'ID of the affected user, who may have been deleted. Null if the event affects no user.',
  })
  subjectId!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'ID of the session that was opened or revoked. Null for other events.',
  })
  sessionId!: string | null;

  @Field(() => ID, { nullable: true, description: 'ID of the security token. Null if the event has none.' })
  securityTokenId!: string | null;

  @Field(() => String, { nullable: true, description: 'Further information about the event. It contains no secret.' })
  detail!: string | null;

  @Field(() => String, { nullable: true, description: 'Client IP address. Null for the command line.' })
  ipAddress!: string | null;

  @Field(() => String, { nullable: true, description: '`User-Agent` header of the request.' })
  userAgent!: string | null;
}

@ObjectType('AuditEventEdge', { description: 'An edge of a list of events.', simpleResolvers: true })
class AuditEventEdgeType {
  @Field(() => String, { description: 'Opaque cursor of this edge.' })
  cursor!: string;

  @Field(() => AuditEventType, { description: 'The event.' })
  node!: AuditEventType;
}

@ObjectType('AuditEventConnection', {
  description: 'A page of security audit events. @see https://relay.dev/graphql/connections.htm',
  simpleResolvers: true,
})
export class AuditEventConnectionType {
  @Field(() => [AuditEventEdgeType], { description: 'Events with their cursors.' })
  edges!: AuditEventEdgeType[];

  @Field(() => [AuditEventType], { description: 'Events without cursors.' })
  nodes!: AuditEventType[];

  @Field(() => PageInfoType, { description: 'Pagination info.' })
  pageInfo!: PageInfoType;
}
