/** Sends one-time passwords. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { voidOneTimePassword } from '../../database/one-time-passwords.queries.js';
import { refundRateLimits } from '../../database/rate-limits.queries.js';
import type { OneTimePasswordPurpose } from '../../database/schema.js';
import { findSecurityTokens, type SecurityToken } from '../../database/security-tokens.queries.js';
import type { Actor } from '../actor.js';
import { authenticators, findOwnAddress } from '../authenticators/registry.js';
import { TransmissionError } from '../errors.js';
import { auditAttempt } from '../events/audit.js';
import { transact } from '../events/events.js';
import { consumeSendLimits, limitSends, pendingAddressLimit } from '../rate-limits.js';
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
  const { viewer } = actor;
  const address = viewer === null ? undefined : findOwnAddress(app, viewer.user, tokenId);
  // Only verification reaches a pending address. For another purpose its holder is a stranger.
  const own = address === 'current' || (address === 'pending' && purpose === 'VERIFICATION');
  if (purpose === 'VERIFICATION') requireOwner(actor, own);
  const [token] = await findSecurityTokens(app.db, {
    id: tokenId,
    ...(own && viewer !== null && { userId: viewer.user.id }),
  });
  const reachable = token !== undefined && isReachable(app, token.address);
  if (own && !reachable) throw new TransmissionError();
  const limits = reachable ? sendLimits(app, token.address) : [];
  const counted = await limitSends(app, actor.client, {
    tokenId: token?.counterId ?? tokenId,
    by: own ? 'owner' : 'others',
    more: own ? [...limits, ...(token?.pending ? [pendingAddressLimit(app, tokenId)] : [])] : [],
  });

  const issued = await transact(app, actor, (tx) =>
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
    await voidOneTimePassword(app.db, { tokenId: token.counterId, purpose, codeDigest });
    await refundRateLimits(app.db, counted);
    throw new TransmissionError();
  }
  return { expiresAt };
}

/**
 * Issues a code for a new pending address. The caller sends it after the commit.
 * @returns what sends it
 */
export async function issueVerification(
  app: App,
  tx: Database,
  actor: Actor,
  { userId, tokenId }: { userId: string; tokenId: string },
): Promise<() => Promise<void>> {
  const [token] = await findSecurityTokens(tx, { id: tokenId, userId });
  if (token === undefined || !authenticators[token.kind].isReachable(app, token.address)) return async () => {};
  const { kind, address } = token;
  const purpose = 'VERIFICATION';
  const { oneTimePassword } = await issueOneTimePassword(app, tx, { tokenId, kind, purpose }, token);
  return async () => {
    const limits = [pendingAddressLimit(app, tokenId), ...authenticators[kind].sendLimits(app, address)];
    await consumeSendLimits(app, limits);
    await deliverOneTimePassword(app, actor, token, { purpose, oneTimePassword });
  };
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
