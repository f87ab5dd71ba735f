/** Sign-up. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { User } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { completeSignIn } from '../authentication/complete-sign-in.js';
import { countAndHash } from '../authentication/counted-hashing.js';
import { emit } from '../events/events.js';
import { limitSignUps } from '../rate-limits.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { claimIdentifiers } from './claim-identifiers.js';
import { insertAccount, type NewAccountInput, readAccount } from './new-account.js';

/**
 * Creates an account. If the caller is not signed in, opens its first session.
 * @throws {ValidationError} with the issues of all fields; `TAKEN` for identifiers of other users
 * @throws {TimeoutError} over the sign-ups of the client
 */
export async function createUser(
  app: App,
  actor: Actor,
  input: NewAccountInput,
): Promise<{ user: User; tokens: SessionTokens | null }> {
  const { identifiers, password } = await readAccount(app, input);
  const passwordHash = await countSignUp(app, actor, password);
  const proofs = passwordHash === null ? [] : [{ method: 'PASSWORD' as const }];
  return claimIdentifiers(app, actor, { identifiers }, async (tx) => {
    const user = await insertAccount(app, tx, identifiers, { passwordHash });
    const signedIn =
      actor.viewer === null ? await completeSignIn(app, tx, actor, { user, proofs, occasion: 'sign-up' }) : null;
    const tokens = signedIn?.tokens ?? null;
    emit(tx, { type: 'signed-up', user, session: tokens?.session ?? null });
    return { user, tokens };
  });
}

/**
 * Counts the sign-up, together with a hashing slot if there is a password.
 * @returns the password hash; null without a password
 */
async function countSignUp(app: App, { client }: Actor, password: string | null): Promise<string | null> {
  const count = (tx: Database) => limitSignUps(app, tx, client);
  if (password !== null) return countAndHash(app, count, ({ hash }) => hash(password));
  await app.db.transaction(count);
  return null;
}
