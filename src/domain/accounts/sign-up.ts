/** Signing up. */
import type { App } from '../../app/app.js';
import type { User } from '../../database/users.queries.js';
import { completeSignIn } from '../authentication/complete-sign-in.js';
import type { Caller } from '../caller.js';
import { emit } from '../events/events.js';
import { limitSignUps } from '../rate-limits.js';
import type { SessionTokens } from '../sessions/sessions.js';
import { claimIdentifiers } from './claim-identifiers.js';
import { insertAccount, type NewAccountInput, readAccount } from './new-account.js';

/**
 * Makes an account and, for somebody who is not signed in, opens its first session.
 * @throws {ValidationError} with every issue at once; `TAKEN` where somebody has the identifier
 * @throws {TimeoutError} over the sign-ups of this client
 */
export async function createUser(
  app: App,
  caller: Caller,
  input: NewAccountInput,
): Promise<{ user: User; tokens: SessionTokens | null }> {
  const { identifiers, password } = await readAccount(app, input);
  const passwordHash = await countSignUp(app, caller, password);
  const proofs = passwordHash === null ? [] : [{ method: 'PASSWORD' as const }];
  return claimIdentifiers(app, caller, { identifiers }, async (tx) => {
    const user = await insertAccount(app, tx, identifiers, { passwordHash });
    const signedIn =
      caller.viewer === null ? await completeSignIn(app, tx, caller, { user, proofs, occasion: 'sign-up' }) : null;
    const tokens = signedIn?.tokens ?? null;
    emit(tx, { type: 'signed-up', user, session: tokens?.session ?? null });
    return { user, tokens };
  });
}

/** @returns the password's hash */
async function countSignUp(app: App, { client }: Caller, password: string | null): Promise<string | null> {
  if (password === null) {
    await limitSignUps(app, client);
    return null;
  }
  return app.passwords.withPlace(async (place) => {
    // Who is sent away because the threads are busy has not signed up, and who may not sign up takes no place.
    await limitSignUps(app, client, place.take);
    return place.hash(password);
  });
}
