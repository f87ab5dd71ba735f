/** Sends one-time passwords. */
import type { App } from '../../app/app.js';
import { voidOneTimePassword } from '../../database/one-time-passwords.queries.js';
import { refundRateLimits } from '../../database/rate-limits.queries.js';
import type { OneTimePasswordPurpose } from '../../database/schema.js';
import { findSecurityTokens, type SecurityToken } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import { authenticators } from '../authenticators/registry.js';
import { ownsSecurityToken } from '../authorization/authority.js';
import { TransmissionError } from '../errors.js';
import { auditAttempt } from '../events/audit.js';
import { consumeSendLimits, limitSends } from '../rate-limits.js';
import { issueOneTimePassword, requireOwner } from './one-time-password.js';
import { checkSecurityTokenId } from './security-tokens.js';

/**
 * Sends a one-time password. Callers other than the signed-in owner get the same response for
 * known and unknown addresses.
 * Exceeds the usual length so that the flow reads as one page.
 * @returns when the password expires
 * @throws {TimeoutError} over a limit of sends; nothing is issued
 * @throws {TransmissionError} to the owner only; the password is void and the limit refunded
 */
export async function sendOneTimePassword(
  app: App,
  actor: Actor,
  tokenId: string,
  purpose: OneTimePasswordPurpose,
): Promise<{ expiresAt: Date }> {
  const kind = checkSecurityTokenId(app, tokenId);
  const { isReachable, sendLimits } = authenticators[kind];
  const own = ownsSecurityToken(app, actor, tokenId);
  if (purpose === 'VERIFICATION') requireOwner(actor, own);
  const [token] = await findSecurityTokens(app.db, { id: tokenId });
  const reachable = token !== undefined && isReachable(app, token.address);
  if (own && !reachable) throw new TransmissionError();
  const limits = reachable ? sendLimits(app, token.address) : [];
  const by = own ? 'owner' : 'others';
  const counted = await limitSends(app, actor.client, { tokenId, by, more: own ? limits : [] });

  const issued = await app.db.transaction((tx) =>
    issueOneTimePassword(app, tx, { tokenId, kind, purpose }, reachable ? token : undefined),
  );
  const { codeDigest, expiresAt } = issued;
  if (!issued.live || token === undefined) {
    // For other callers, a refund would reveal that the address is unknown.
    if (own) await refundRateLimits(app.db, counted);
    return { expiresAt };
  }
  const deliver = () => deliverOneTimePassword(app, actor, token, { purpose, oneTimePassword: issued.oneTimePassword });
  if (!own) {
    // Waiting for the provider, or an error of its limits, would reveal that the address is known.
    app.inBackground(consumeSendLimits(app, limits).then(deliver));
    return { expiresAt };
  }
  try {
    await app.waitForProvider(deliver());
  } catch {
    // The log has the cause.
    await voidOneTimePassword(app.db, { tokenId, purpose, codeDigest });
    await refundRateLimits(app.db, counted);
    throw new TransmissionError();
  }
  return { expiresAt };
}

/** Resolves when the provider has accepted the message, and records it in the audit log. */
async function deliverOneTimePassword(
  app: App,
  actor: Actor,
  { id, kind, address, userId }: SecurityToken,
  { purpose, oneTimePassword }: { purpose: OneTimePasswordPurpose; oneTimePassword: string },
): Promise<void> {
  const lifetimeSeconds = app.config.oneTimePassword.ttlSeconds;
  await authenticators[kind].send(app, address, { purpose, tokenId: id, oneTimePassword, lifetimeSeconds });
  const event = { kind: 'ONE_TIME_PASSWORD_SENT', subjectId: userId, securityTokenId: id, detail: purpose } as const;
  auditAttempt(app, actor, event);
}
