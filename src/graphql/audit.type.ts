/** Security events. */
import { GraphQLDateTime } from 'graphql-scalars';
import { Field, ID, ObjectType } from 'type-graphql';
import type { AuditEventKind } from '../domain/events/audit.js';
import { PageInfoType } from './connection.type.js';
import { createEnum } from './server/create-enum.js';

export const AuditEventKindEnum = createEnum<AuditEventKind>('AuditEventKind', 'What has happened.', {
  SIGNED_UP: 'An account was made, by its user or for somebody else.',
  SUPERUSER_CREATED: 'A superuser was made; `detail` tells by what right.',
  SIGNED_IN: 'A session was opened; `detail` tells by what proof.',
  SIGN_IN_FAILED: 'A sign-in by password was refused.',
  SIGN_IN_THROTTLED: 'A sign-in by password came too soon after failures; nothing was compared.',
  CURRENT_PASSWORD_REFUSED: 'A signed-in user gave a current password that was wrong.',
  ONE_TIME_PASSWORD_SENT: 'A one-time password was sent; `detail` tells for what.',
  ONE_TIME_PASSWORD_GENERATED: 'A superuser made a one-time password to deliver; `detail` tells for what.',
  ONE_TIME_PASSWORD_ACCEPTED: 'A one-time password was right, and is spent.',
  ONE_TIME_PASSWORD_REFUSED: 'A one-time password was wrong, spent, replaced or expired.',
  ONE_TIME_PASSWORD_THROTTLED: 'A one-time password came too soon after failures; nothing was compared.',
  SECURITY_TOKEN_UNLOCKED: 'A security token was freed from its timeout.',
  PASSWORD_CHANGED: 'A user changed their password.',
  PASSWORD_RESET: 'A password was set by a one-time password.',
  PASSWORD_SET: 'A superuser or an operator set a password.',
  PASSWORD_REMOVED: 'A password is gone that was set before anybody had proved to own the account; its owner now has.',
  IDENTIFIERS_CHANGED: 'Identifiers were added, changed or removed; `detail` tells which, not what they are.',
  ACTIVATION_CHANGED: 'An account was activated or deactivated.',
  ROLES_CHANGED: 'A role was given or taken.',
  USER_DELETED: 'An account was deleted.',
  SESSION_ENDED: "A session or several were ended by somebody's doing; `detail` tells why.",
  REFRESH_TOKEN_REUSED: 'A spent refresh token was used again, which has ended the session.',
});

@ObjectType('AuditEvent', {
  description: 'Something that matters for safety, and has happened.',
  simpleResolvers: true,
})
export class AuditEventType {
  @Field(() => ID, { description: 'Greater than those of the events before.' })
  id!: string;

  @Field(() => AuditEventKindEnum, { description: 'What has happened.' })
  kind!: AuditEventKind;

  @Field(() => GraphQLDateTime, { description: 'When, to within a second.' })
  occurredAt!: Date;

  @Field(() => ID, { nullable: true, description: 'Of the user who did it; null where nobody was signed in.' })
  actorId!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'Of the user whom it was done to, who may be deleted by now; null where nobody is concerned.',
  })
  subjectId!: string | null;

  @Field(() => ID, { nullable: true, description: 'Of the session that was opened or ended, where it is one.' })
  sessionId!: string | null;

  @Field(() => ID, { nullable: true, description: 'Of the security token, where there is one.' })
  securityTokenId!: string | null;

  @Field(() => String, { nullable: true, description: 'What else there is to say; never a secret.' })
  detail!: string | null;

  @Field(() => String, { nullable: true, description: 'Where the request came from; null on the command line.' })
  ipAddress!: string | null;

  @Field(() => String, { nullable: true, description: 'The `User-Agent` of the request.' })
  userAgent!: string | null;
}

@ObjectType('AuditEventEdge', { description: 'An event in a list.', simpleResolvers: true })
class AuditEventEdgeType {
  @Field(() => String, { description: 'Opaque: the place of this event in the list.' })
  cursor!: string;

  @Field(() => AuditEventType, { description: 'The event.' })
  node!: AuditEventType;
}

@ObjectType('AuditEventConnection', {
  description: 'A page of security events. @see https://relay.dev/graphql/connections.htm',
  simpleResolvers: true,
})
export class AuditEventConnectionType {
  @Field(() => [AuditEventEdgeType], { description: 'The events with their cursors.' })
  edges!: AuditEventEdgeType[];

  @Field(() => [AuditEventType], { description: 'The events alone.' })
  nodes!: AuditEventType[];

  @Field(() => PageInfoType, { description: 'Where the page lies.' })
  pageInfo!: PageInfoType;
}
