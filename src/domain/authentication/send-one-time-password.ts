/** Sending a one-time password. */
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
 * Sends a one-time password to the address. To anyone but its signed-in owner the answer is the same whether anybody has the address or not.
 * Longer than other functions: a security flow is read as one page.
 * @returns when it expires
 * @throws {TimeoutError} over a limit of sends; nothing is made
 * @throws {TransmissionError} to the owner alone; what was made is void, and does not count
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

  const made = await app.db.transaction((tx) =>
    issueOneTimePassword(app, tx, { tokenId, kind, purpose }, reachable ? token : undefined),
  );
  const { codeDigest, expiresAt } = made;
  if (!made.live || token === undefined) {
    // To a stranger it would tell that nobody has the address.
    if (own) await refundRateLimits(app.db, counted);
    return { expiresAt };
  }
  const deliver = () => deliverOneTimePassword(app, actor, token, { purpose, oneTimePassword: made.oneTimePassword });
  if (!own) {
    // Waiting for the provider, or saying that a limit on real messages is reached, would tell a stranger that somebody has the address.
    app.inBackground(consumeSendLimits(app, limits).then(deliver));
    return { expiresAt };
  }
  try {
    await app.waitForProvider(deliver());
  } catch {
    // Why is in the log.
    await voidOneTimePassword(app.db, { tokenId, purpose, codeDigest });
    await refundRateLimits(app.db, counted);
    throw new TransmissionError();
  }
  return { expiresAt };
}

/** Resolves when the provider has accepted the message, which the audit log then tells. */
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
