/**
 * All kinds of security tokens. To add a kind: add its module, its value of `securityTokenKinds`
 * in the schema, and its entry here.
 */
import type { App } from '../../app/app.js';
import { type SecurityTokenKind, securityTokenKinds } from '../../database/schema.js';
import type { User } from '../../database/users.queries.js';
import { securityTokenId, securityTokenIdPrefix } from '../../security/security-token-ids.js';
import { comparisonKey } from '../identifiers.js';
import type { Authenticator } from './authenticator.js';
import { email } from './email.js';
import { sms } from './sms.js';

export const authenticators: Record<SecurityTokenKind, Authenticator> = { email, phone: sms };

/** @param key the comparison key of the address */
export function computeTokenId(app: App, { kind, key }: { kind: SecurityTokenKind; key: string }): string {
  return securityTokenId(app.keys.securityTokenIds, { kind, prefix: authenticators[kind].idPrefix }, key);
}

/** Returns the kind of a token id; undefined if the service did not issue the id. */
export function getTokenKind(app: App, id: string): SecurityTokenKind | undefined {
  const prefix = securityTokenIdPrefix(app.keys.securityTokenIds, id);
  return Object.values(authenticators).find(({ idPrefix }) => idPrefix === prefix)?.kind;
}

/** Returns which address of the user the token belongs to. Does not read the database. */
export function findOwnAddress(app: App, user: User, tokenId: string): 'current' | 'pending' | undefined {
  const kind = getTokenKind(app, tokenId);
  if (kind === undefined) return undefined;
  const own = getAddressKeys(user, [kind]).map((key) => key !== null && computeTokenId(app, { kind, key }) === tokenId);
  return own[0] ? 'current' : own[1] ? 'pending' : undefined;
}

/** Returns the comparison keys of the current and the pending address of each kind. */
export function getAddressKeys(
  user: User,
  kinds: readonly SecurityTokenKind[] = securityTokenKinds,
): (string | null)[] {
  return kinds.flatMap((kind) => {
    const { key, pending } = authenticators[kind].getAddresses(user);
    return [key, pending === null ? null : comparisonKey(pending)];
  });
}
