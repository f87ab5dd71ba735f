/** Proving who one is by a password: to sign in, or once more while one is. */
import { randomUUID } from 'node:crypto';
import type { App } from '../app.js';
import { clearSignInThrottles, reserveSignIn } from '../database/credentials.queries.js';
import {
  findUsersByKeys,
  lockUser,
  type User,
  updateLastLogin,
  updatePasswordHash,
} from '../database/users.queries.js';
import { hmac } from '../security/hmac.js';
import type { Caller, Client, Viewer } from './caller.js';
import { InvalidCredentialsError, TimeoutError, ValidationError } from './errors.js';
import { type Identifier, inferKind, parseEmail, parsePhone, parseUsername } from './identifiers.js';
import { notifyOfNewDevice, openSession, type SessionTokens } from './sessions.js';
import { waitSchedule } from './throttle.js';

/** Either `identifier`, or any of the others, which must all name the same user. Null is the same as absent. */
export interface AuthenticateInput {
  identifier?: string | null;
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password: string;
}

/** What an attempt to sign in is counted by, for what was typed: an identifier's kind and key, or the text that is none. */
interface Typed {
  kind: Identifier['kind'];
  key: string | null;
  text: string;
}

/**
 * Signs in by password. Nobody of that name, a wrong password, no password, an inactive user, and identifiers of two users are answered alike and take as long.
 * @throws {ValidationError} `IDENTIFIER_REQUIRED` without an identifier, `INVALID` with both forms of naming a user
 * @throws {InvalidCredentialsError} counted by identifier
 * @throws {TimeoutError} before the next attempt is due; nothing is compared and nothing counted
 */
export async function authenticate(
  app: App,
  { client }: Caller,
  input: AuthenticateInput,
): Promise<{ user: User; tokens: SessionTokens }> {
  const typed = readIdentifiers(app, input);
  const keys = typed.flatMap(({ kind, key }) => (key === null ? [] : [{ kind, key }]));
  const found = keys.length === typed.length ? await findUsersByKeys(app.db, keys, client.network) : [];
  const match =
    found.length === 1 && keys.every(({ kind, key }) => keyOf(found[0]!.user, kind) === key) ? found[0] : undefined;

  const throttles = await reserve(app, typed, client, match?.knownNetwork ?? false);
  // The empty password is nobody's, not even where a hash of it was brought along; it takes its time all the same.
  const rightPassword =
    (await app.passwords.verify(input.password, match?.user.passwordHash ?? null)) && input.password !== '';
  if (match === undefined || !rightPassword || !match.user.isActive) throw new InvalidCredentialsError();

  const { passwordHash } = match.user;
  const upgradedHash = app.passwords.isOutdated(passwordHash!) ? await app.passwords.hash(input.password) : undefined;
  const signedIn = await app.db.transaction(async (tx) => {
    const user = await lockUser(tx, match.user.id);
    // Judged again now that nobody can change it: what was right while it was hashed may have been changed since.
    if (user === undefined || !user.isActive || user.passwordHash !== passwordHash) throw new InvalidCredentialsError();
    await clearSignInThrottles(tx, throttles);
    if (upgradedHash !== undefined) await updatePasswordHash(tx, user.id, upgradedHash);
    const lastLogin = await updateLastLogin(tx, user.id);
    return { user: { ...user, lastLogin }, tokens: await openSession(app, tx, user, ['PASSWORD'], client) };
  });
  notifyOfNewDevice(app, signedIn.user, signedIn.tokens);
  return signedIn;
}

/**
 * Asks a signed-in caller for a proof that it is still them: the current password, or else an authentication within the last ten minutes.
 * @throws {InvalidCredentialsError} counted, where the password is wrong; or where there is neither
 * @throws {TimeoutError} before the next attempt is due
 */
export async function requireProof(
  app: App,
  viewer: Viewer,
  currentPassword: string | null,
  recent: boolean = viewer.recentlyAuthenticated,
): Promise<void> {
  if (currentPassword === null) {
    if (!recent) throw new InvalidCredentialsError('Give the current password, or authenticate again first.');
    return;
  }
  const key = hmac(app.keys.throttles, 'current-password', viewer.user.id);
  await reserveAll(app, [{ key, schedule: waitSchedule({ maxWaitSeconds: 3600, maxFailures: null }) }]);
  if (!(await app.passwords.verify(currentPassword, viewer.user.passwordHash)))
    throw new InvalidCredentialsError('The current password is not right.');
  await clearSignInThrottles(app.db, [key]);
}

function readIdentifiers(app: App, { identifier, username, email, phone }: AuthenticateInput): Typed[] {
  const named = [
    ...(username == null ? [] : [{ kind: 'username' as const, text: username }]),
    ...(email == null ? [] : [{ kind: 'email' as const, text: email }]),
    ...(phone == null ? [] : [{ kind: 'phone' as const, text: phone }]),
  ];
  if (identifier != null && named.length > 0)
    throw new ValidationError([
      {
        field: 'identifier',
        code: 'INVALID',
        message: 'Give either the identifier alone, or any of username, email and phone.',
      },
    ]);
  if (identifier != null) named.push({ kind: inferKind(identifier), text: identifier });
  if (named.length === 0)
    throw new ValidationError([
      {
        field: null,
        code: 'IDENTIFIER_REQUIRED',
        message: 'Give an identifier, a username, an email address or a phone number.',
      },
    ]);
  return named.map(({ kind, text }) => {
    const parsed =
      kind === 'username'
        ? parseUsername(text)
        : kind === 'email'
          ? parseEmail(text)
          : parsePhone(text, app.config.defaultRegion);
    return { kind, text, key: typeof parsed === 'string' ? null : parsed.key };
  });
}

function keyOf(user: User, kind: Identifier['kind']): string | null {
  return { username: user.usernameKey, email: user.emailKey, phone: user.phone }[kind];
}

/**
 * Counts the attempt in advance, by identifier and client and by identifier alone, in one transaction or not at all.
 * @returns the keys to clear when the attempt succeeds
 */
async function reserve(app: App, typed: Typed[], client: Client, knownNetwork: boolean): Promise<Buffer[]> {
  const { throttles } = app.keys;
  const byClient = waitSchedule({ maxWaitSeconds: 3600, maxFailures: null });
  const byAll = waitSchedule({ maxWaitSeconds: 60, maxFailures: null });
  const throttlesOf = typed.flatMap(({ kind, key, text }) => {
    const subject = key === null ? hmac(throttles, 'no-identifier', text) : hmac(throttles, 'identifier', key);
    return [
      { key: hmac(throttles, 'sign-in-by-client', kind, subject, client.network), schedule: byClient, binding: true },
      // Strangers shut nobody out who comes from where they have signed in before.
      { key: hmac(throttles, 'sign-in', kind, subject), schedule: byAll, binding: !knownNetwork },
    ];
  });
  // In one order for all, here and where they are cleared, so that no two transactions wait for each other.
  const all = throttlesOf.sort((a, b) => a.key.compare(b.key));
  await reserveAll(
    app,
    all.filter(({ binding }) => binding),
  );
  return all.map(({ key }) => key);
}

async function reserveAll(app: App, throttles: { key: Buffer; schedule: number[] }[]): Promise<void> {
  await app.db.transaction(async (tx) => {
    const refused = (await reserveSignIn(tx, throttles, randomUUID())).filter(({ reserved }) => !reserved);
    // Rolls back what the others have counted.
    if (refused.length > 0) throw new TimeoutError(refused.reduce((a, b) => (b.retryAt > a.retryAt ? b : a)));
  });
}
