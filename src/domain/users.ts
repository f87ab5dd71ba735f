/** Accounts: made by signing up or by a superuser. */
import type { App } from '../app.js';
import type { Database } from '../database/database.js';
import { takeLock } from '../database/database.js';
import { violatedConstraint } from '../database/failures.js';
import {
  findTaken,
  hasSuperuser,
  insertSecurityTokens,
  insertUser,
  releaseUnprovenAddress,
  type User,
} from '../database/users.queries.js';
import { sameBytes, sha256 } from '../security/hmac.js';
import { securityTokenId } from '../security/security-token-ids.js';
import { requireSuperuser } from './authority.js';
import { ForbiddenError, UnauthenticatedError, ValidationError, type ValidationIssue } from './errors.js';
import {
  callingCodeOf,
  type Identifier,
  type IdentifierFault,
  parseEmail,
  parsePhone,
  parseUsername,
} from './identifiers.js';
import { contextOf, lengthIssue, strengthIssue } from './password-policy.js';
import { limitSignUps } from './rate-limits.js';
import { type Caller, openSession, type SessionTokens } from './sessions.js';

/** Null is the same as absent. */
export interface NewAccountInput {
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password?: string | null;
}

interface NewAccount {
  username: Identifier | null;
  email: Identifier | null;
  phone: Identifier | null;
  password: string | null;
}

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
  const account = await readAccount(app, input);
  await limitSignUps(app, caller.client);
  const passwordHash = account.password === null ? null : await app.passwords.hash(account.password);
  return insertAccount(app, account, async (tx, insert) => {
    const user = await insert({ passwordHash });
    if (caller.viewer !== null) return { user, tokens: null };
    return { user, tokens: await openSession(app, tx, user, passwordHash === null ? [] : ['PASSWORD'], caller.client) };
  });
}

/**
 * Makes a superuser: asked by another, or by the holder of the bootstrap secret while there is none.
 * @throws {ValidationError} with every issue at once
 * @throws {UnauthenticatedError} without either
 * @throws {ForbiddenError} for anyone else, and for the bootstrap secret once there is a superuser
 */
export async function createSuperuser(
  app: App,
  caller: Caller,
  bootstrapSecret: string | null,
  input: NewAccountInput,
): Promise<{ user: User }> {
  const bootstrap = caller.viewer === null;
  if (bootstrap) checkBootstrapSecret(app, bootstrapSecret);
  else requireSuperuser(caller);
  const account = await readAccount(app, input);
  const passwordHash = account.password === null ? null : await app.passwords.hash(account.password);
  return insertAccount(app, account, async (tx, insert) => {
    if (bootstrap) {
      await takeLock(tx, 'superusers');
      if (await hasSuperuser(tx))
        throw new ForbiddenError('There is a superuser already: the bootstrap secret has served.');
    }
    return { user: await insert({ passwordHash, isStaff: true, isSuperuser: true }) };
  });
}

function checkBootstrapSecret(app: App, given: string | null): void {
  const secret = app.bootstrapSecret;
  if (given === null) throw new UnauthenticatedError();
  if (secret === null || !sameBytes(sha256(given), sha256(secret)))
    throw new UnauthenticatedError('The bootstrap secret is not valid.');
}

/** @throws {ValidationError} with every issue of every field */
async function readAccount(app: App, input: NewAccountInput): Promise<NewAccount> {
  const issues: ValidationIssue[] = [];
  const read = (field: 'username' | 'email' | 'phone', parse: (text: string) => Identifier | IdentifierFault) => {
    const text = input[field] ?? null;
    if (text === null) return null;
    const parsed = parse(text);
    if (typeof parsed !== 'string') return parsed;
    issues.push({ field, code: parsed, message: identifierMessages[field][parsed] });
    return null;
  };
  const username = read('username', parseUsername);
  const email = read('email', parseEmail);
  const phone = read('phone', (text) => parsePhone(text, app.config.defaultRegion));
  const password = input.password ?? null;
  if ((input.username ?? input.email ?? input.phone ?? null) === null)
    issues.push({
      field: null,
      code: 'IDENTIFIER_REQUIRED',
      message: 'Give a username, an email address or a phone number.',
    });
  if (email !== null && !app.channels.has('email')) issues.push(unreachable('email', 'Email'));
  if (phone !== null && !(app.channels.has('sms') && isReachable(app, phone.value)))
    issues.push(unreachable('phone', 'SMS to this number'));
  if (password !== null) {
    const issue = await passwordIssue(app, 'password', password, [username, email, phone]);
    if (issue !== undefined) issues.push(issue);
  }
  if (issues.length > 0) throw new ValidationError(issues);
  return { username, email, phone, password };
}

const identifierMessages: Record<'username' | 'email' | 'phone', Record<IdentifierFault, string>> = {
  username: {
    BLANK: 'The username must not be empty.',
    INVALID: 'A username begins with a letter and holds only letters, numbers and the characters . - _',
    TOO_LONG: 'The username must have at most 150 characters.',
  },
  email: {
    BLANK: 'The email address must not be empty.',
    INVALID: 'This is not a valid email address.',
    TOO_LONG: 'The email address is too long.',
  },
  phone: {
    BLANK: 'The phone number must not be empty.',
    INVALID: 'This is not a valid phone number.',
    TOO_LONG: 'The phone number is too long.',
  },
};

function unreachable(field: string, channel: string): ValidationIssue {
  return { field, code: 'INVALID', message: `${channel} is not available here.` };
}

/** Whether messages may go to the calling code of the number. */
export function isReachable(app: App, phone: string): boolean {
  return app.config.smsDialCodes?.includes(callingCodeOf(phone)) ?? true;
}

async function passwordIssue(
  app: App,
  field: string,
  password: string,
  identifiers: (Identifier | null)[],
): Promise<ValidationIssue | undefined> {
  const policy = {
    minLength: app.config.passwordMinLength,
    maxLength: app.config.passwordMaxLength,
    minScore: app.config.passwordMinScore,
  };
  return (
    lengthIssue(field, password, policy) ??
    strengthIssue(
      field,
      await app.passwords.score(password, contextOf(identifiers.filter((one) => one !== null))),
      policy,
    )
  );
}

/** Runs `work` in a transaction in which `insert` makes the user and the tokens of the addresses; what is taken becomes the refusal. */
async function insertAccount<T>(
  app: App,
  { username, email, phone }: NewAccount,
  work: (
    tx: Database,
    insert: (rest: { passwordHash: string | null; isStaff?: boolean; isSuperuser?: boolean }) => Promise<User>,
  ) => Promise<T>,
): Promise<T> {
  const { securityTokenIds } = app.keys;
  const addresses = [email, phone].flatMap((address) =>
    address === null || address.kind === 'username'
      ? []
      : [
          {
            id: securityTokenId(securityTokenIds, address.kind, address.key),
            kind: address.kind,
            key: address.key,
            address: address.value,
          },
        ],
  );
  const attempt = (release: boolean) =>
    app.db.transaction(async (tx) => {
      if (release) for (const { id } of addresses) await releaseUnprovenAddress(tx, id);
      return work(tx, async (rest) => {
        const user = await insertUser(tx, {
          username: username?.value ?? null,
          usernameKey: username?.key ?? null,
          email: email?.value ?? null,
          emailKey: email?.key ?? null,
          phone: phone?.value ?? null,
          ...rest,
        });
        await insertSecurityTokens(
          tx,
          addresses.map(({ id, kind, address }) => ({ id, userId: user.id, kind, address, givenAtSignUp: true })),
        );
        return { ...user, emailVerified: email && false, phoneVerified: phone && false };
      });
    });
  try {
    return await attempt(false);
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
  }
  try {
    // Only now: an address that stands unproven beside a proven one is let go to whoever comes next.
    return await attempt(true);
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
    const taken = await findTaken(app.db, {
      username: username?.key ?? null,
      emailTokenId: addresses.find(({ kind }) => kind === 'email')?.id ?? null,
      phoneTokenId: addresses.find(({ kind }) => kind === 'phone')?.id ?? null,
    });
    const issues = (['username', 'email', 'phone'] as const).filter((field) => taken[field]);
    throw issues.length > 0 ? new ValidationError(issues.map(takenIssue)) : error;
  }
}

function takenIssue(field: 'username' | 'email' | 'phone'): ValidationIssue {
  const thing = { username: 'username', email: 'email address', phone: 'phone number' }[field];
  return { field, code: 'TAKEN', message: `An account with this ${thing} exists already.` };
}

/** Whether the bootstrap secret still opens anything. */
export async function needsBootstrap(app: App): Promise<boolean> {
  return app.bootstrapSecret !== null && !(await hasSuperuser(app.db));
}
