/** Views of security tokens: for the owner and staff, and for strangers. */
import type { SecurityTokenKind } from '../../database/schema.js';
import type { SecurityToken } from '../../database/security-tokens.queries.js';
import { authenticators } from './registry.js';
import type { SecurityTokenView } from './security-token-view.js';

/** Returns the view for the owner and staff. */
export function toOwnerView(token: SecurityToken): SecurityTokenView {
  const { verifiedAt, failureCount, retryAt, expiresAt } = token;
  return { ...toPublicView(token), verified: verifiedAt !== null, failureCount, retryAt, expiresAt };
}

/** Returns the view for strangers: the same for known and unknown addresses. */
export function toPublicView({
  id,
  kind,
  address,
}: {
  id: string;
  kind: SecurityTokenKind;
  address: string;
}): SecurityTokenView {
  const name = authenticators[kind].mask(address);
  return { id, kind, name, verified: null, failureCount: null, retryAt: null, expiresAt: null };
}
