/** The interface of a kind of security token: everything that differs between kinds. */
import type { App } from '../../app/app.js';
import type { RateLimit } from '../../database/rate-limits.queries.js';
import type { AuthenticationMethod, SecurityTokenKind } from '../../database/schema.js';
import type { User } from '../../database/users.queries.js';
import type { Channel, OneTimePasswordMessage } from '../../delivery/message.js';
import type { AddressKind } from '../identifiers.js';

/** A one-time password, and the content of its message. */
export type OneTimePasswordContent = Omit<OneTimePasswordMessage, 'kind' | 'channel' | 'to'>;

/** A user's addresses of one kind. */
export interface UserAddresses {
  /** as stored; null if the user has none */
  address: string | null;
  /** the comparison key of the address */
  key: string | null;
  /** null without an address */
  verified: boolean | null;
  /** replaces the verified address once it is verified */
  pending: string | null;
}

export interface Authenticator {
  /** `kind` of rows in `security_tokens` */
  kind: SecurityTokenKind;
  /** first character of its token ids, unique per kind */
  idPrefix: string;
  /** type in the GraphQL schema */
  type: { name: string; description: string };
  /** method that a session records; `reference`: the claim `amr` of access tokens, RFC 8176 */
  method: { name: AuthenticationMethod; description: string; reference: string };
  channel: Channel;
  /** identifier kind of its addresses; null if they are not columns of `users` */
  identifies: AddressKind | null;
  getAddresses(user: User): UserAddresses;
  /** @param address as stored */
  mask(address: string): string;
  /** Whether the service can send to the address. */
  isReachable(app: App, address: string): boolean;
  oneTimePasswordFormat(app: App): { length: number; alphabet: string };
  /** Returns limits on messages to the address, beyond those of every kind. */
  sendLimits(app: App, address: string): RateLimit[];
  /** Resolves when the provider has accepted the message. */
  send(app: App, address: string, content: OneTimePasswordContent): Promise<void>;
}
