/** Commands of operators. Access to the database and its secrets authorizes them. */
import type { App } from '../../app/app.js';
import { deleteExpired } from '../../database/prune.queries.js';
import { findSecurityTokens, moveLapsedAddresses } from '../../database/security-tokens.queries.js';
import { findUsersByKeys, type User } from '../../database/users.queries.js';
import { unknownNetwork } from '../actor.js';
import { toIdentifierKey } from '../authentication/password.js';
import { setPassword } from '../authentication/password-changes.js';
import { clearAttempts } from '../authentication/security-tokens.js';
import { computeTokenId } from '../authenticators/registry.js';
import type { SecurityTokenView } from '../authenticators/security-token-view.js';
import { retention } from '../durations.js';
import { NotFoundError } from '../errors.js';
import { parseIdentifier } from '../identifiers.js';

/**
 * Sets the password of the user with that username, email or phone. Revokes their sessions.
 * @throws {NotFoundError}
 * @throws {ValidationError}
 */
export async function setPasswordFor(app: App, identifier: string, newPassword: string): Promise<User> {
  const parsed = parseIdentifier(identifier, app.config.defaultRegion);
  if (typeof parsed === 'string') throw new NotFoundError();
  const [found] = await findUsersByKeys(app.db, [toIdentifierKey(app, parsed)], {
    network: unknownNetwork,
    withinSeconds: 0,
  });
  return setPassword(app, null, found?.user, newPassword);
}

/**
 * Clears failed attempts: of an email or phone, or of all addresses of a username.
 * @throws {NotFoundError}
 */
export async function clearAttemptsFor(app: App, identifier: string): Promise<SecurityTokenView[]> {
  const parsed = parseIdentifier(identifier, app.config.defaultRegion);
  if (typeof parsed === 'string') throw new NotFoundError();
  const { kind, key } = parsed;
  const tokens = await findSecurityTokens(
    app.db,
    kind === 'username' ? { usernameKey: key } : { id: computeTokenId(app, { kind, key }) },
  );
  if (tokens.length === 0) throw new NotFoundError();
  return Promise.all(tokens.map(({ id, userId }) => clearAttempts(app, null, { id, userId })));
}

/**
 * Deletes expired rows.
 * @returns the number of deleted rows, by table
 */
export async function prune(app: App): Promise<Record<string, number>> {
  // The release before this one kept such addresses elsewhere, and may have run until now.
  await moveLapsedAddresses(app.db, null);
  return deleteExpired(app.db, { ...retention, auditEvents: app.config.auditRetentionDays * 86_400 });
}
