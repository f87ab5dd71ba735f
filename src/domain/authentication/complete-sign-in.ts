/** Completes every kind of sign-in. Nothing else opens sessions. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { AuthenticationMethod, OneTimePasswordPurpose } from '../../database/schema.js';
import { type User, updateLastLogin } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { emit } from '../events/events.js';
import { openSession, type SessionTokens } from '../sessions/sessions.js';
import type { ProvenAccount } from './one-time-password.js';

/** A proof of the user's identity. */
export interface Proof {
  method: AuthenticationMethod;
  /** set if the method is a one-time password */
  oneTimePassword?: { securityTokenId: string; purpose: OneTimePasswordPurpose };
}

export interface SignIn {
  /** locked, with the changes of this transaction */
  user: User;
  proofs: readonly Proof[];
  /** A sign-up opens the first session. It sets no `lastLogin`, and its event is `signed-up`. */
  occasion: 'sign-in' | 'sign-up';
  /** Whether the proofs made the user the owner. What came before is gone, as after a sign-up. */
  firstProof?: boolean;
}

/** Opens a session and emits the events. The proofs are valid. Must run in `transact`. */
export async function completeSignIn(
  app: App,
  tx: Database,
  actor: Actor,
  { user, proofs, occasion, firstProof = false }: SignIn,
): Promise<{ user: User; tokens: SessionTokens }> {
  const isSignUp = occasion === 'sign-up';
  const lastLogin = isSignUp ? user.lastLogin : await updateLastLogin(tx, user.id);
  const methods = proofs.map(({ method }) => method);
  // Takes `user` with the previous login, which distinguishes a new device from a first sign-in.
  const { newDevice, ...tokens } = await openSession(app, tx, {
    user,
    methods,
    client: actor.client,
    openedBySignUp: isSignUp || firstProof,
  });
  const { session } = tokens;
  const signedIn = { ...user, lastLogin };
  const oneTimePasswords = proofs.flatMap(({ oneTimePassword }) => oneTimePassword ?? []);
  const byReset = oneTimePasswords.some(({ purpose }) => purpose === 'PASSWORD_RESET');
  for (const oneTimePassword of oneTimePasswords)
    emit(tx, { type: 'one-time-password-accepted', userId: user.id, sessionId: session.id, ...oneTimePassword });
  if (!isSignUp) emit(tx, { type: 'signed-in', user: signedIn, session, newDevice, byReset });
  return { user: signedIn, tokens };
}

/** Signs in by a code that led to this account. Emits the sign-up of a new account too. */
export async function signInProven(
  app: App,
  tx: Database,
  actor: Actor,
  { user, created, firstProof, proof }: Pick<ProvenAccount, 'user' | 'created' | 'firstProof'> & { proof: Proof },
): Promise<{ user: User; tokens: SessionTokens }> {
  const occasion = created ? 'sign-up' : 'sign-in';
  const signedIn = await completeSignIn(app, tx, actor, { user, proofs: [proof], occasion, firstProof });
  if (created) emit(tx, { type: 'signed-up', user, session: signedIn.tokens.session });
  return signedIn;
}
