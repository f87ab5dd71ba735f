/** What one kind of security token does in its own way. Everything else is the same for each kind. */
import type { App } from '../../app/app.js';
import type { RateLimit } from '../../database/rate-limits.queries.js';
import type { AuthenticationMethod, SecurityTokenKind } from '../../database/schema.js';
import type { User } from '../../database/users.queries.js';
import type { OneTimePasswordMessage } from '../../delivery/message.js';
import type { AddressKind } from '../identifiers.js';

/** A one-time password, and what its message says of it. */
export type OneTimePasswordContent = Omit<OneTimePasswordMessage, 'kind' | 'channel' | 'to'>;

/** The addresses of one kind that a user has. */
export interface UserAddresses {
  /** as stored; null for none */
  address: string | null;
  /** the comparison key of the address */
  key: string | null;
  /** null for no address */
  verified: boolean | null;
  /** the address that replaces the verified one as soon as it is verified itself */
  pending: string | null;
}

export interface Authenticator {
  /** `kind` of its rows in `security_tokens` */
  kind: SecurityTokenKind;
  /** the first character of the ids of its tokens; no two kinds share one */
  idPrefix: string;
  /** its type in the GraphQL schema */
  type: { name: string; description: string };
  /** what a session records of the proof; `reference`: the claim `amr` of access tokens, RFC 8176 */
  method: { name: AuthenticationMethod; description: string; reference: string };
  /** what users sign in by, where its addresses are that; null where they are not columns of `users` */
  identifies: AddressKind | null;
  getAddresses(user: User): UserAddresses;
  /** @param address as stored */
  mask(address: string): string;
  /** Whether this service can send to the address. */
  isReachable(app: App, address: string): boolean;
  oneTimePasswordFormat(app: App): { length: number; alphabet: string };
  /** The limits on messages to the address, beside those that hold for each kind. */
  sendLimits(app: App, address: string): RateLimit[];
  /** Resolves when the provider has accepted the message. */
  send(app: App, address: string, content: OneTimePasswordContent): Promise<void>;
}
