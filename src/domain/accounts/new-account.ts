/** Input and rows of a new account, for sign-up and for superusers. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { putPendingAddress } from '../../database/pending-addresses.queries.js';
import { insertSecurityTokens, moveLapsedAddresses } from '../../database/security-tokens.queries.js';
import { getUser, insertUser, type User } from '../../database/users.queries.js';
import { passwordIssue } from '../authentication/password-policy.js';
import { computeTokenId } from '../authenticators/registry.js';
import { isPrivileged } from '../authorization/permissions.js';
import { identifierRequired, throwIfInvalid, type ValidationIssue } from '../errors.js';
import { type Identifier, identifierKinds } from '../identifiers.js';
import { newUsername } from '../ownership/verification.js';
import { throwIfTaken } from './claim-identifiers.js';
import { isIssue, readIdentifier } from './identifier-input.js';

/** Null and absent are equivalent. */
export interface NewAccountInput {
  username?: string | null;
  email?: string | null;
  phone?: string | null;
  password?: string | null;
}

interface NewAccount {
  identifiers: Identifier[];
  password: string | null;
}

/** @throws {ValidationError} with the issues of all fields */
export async function readAccount(app: App, input: NewAccountInput): Promise<NewAccount> {
  const issues: ValidationIssue[] = [];
  const identifiers: Identifier[] = [];
  for (const field of identifierKinds) {
    const text = input[field] ?? null;
    if (text === null) continue;
    const read = readIdentifier(app, field, text);
    if (isIssue(read)) issues.push(read);
    else identifiers.push(read);
  }
  if (identifierKinds.every((field) => (input[field] ?? null) === null)) issues.push(identifierRequired());
  const password = input.password ?? null;
  if (password !== null) {
    const issue = await passwordIssue(app, 'password', password, identifiers);
    if (issue !== undefined) issues.push(issue);
  }
  throwIfInvalid(issues);
  return { identifiers, password };
}

/**
 * Inserts an account with reserved addresses. Those of staff stay pending: their accounts are owned
 * from the start, so no code to an unverified address may open one.
 */
export async function insertAccount(
  app: App,
  tx: Database,
  identifiers: Identifier[],
  rest: { passwordHash: string | null; isStaff?: boolean; isSuperuser?: boolean },
): Promise<User> {
  const { username, email, phone } = Object.fromEntries(identifiers.map((identifier) => [identifier.kind, identifier]));
  const addresses = [email, phone].flatMap((address) => (address === undefined ? [] : [toAddress(app, address)]));
  const isReserved = !isPrivileged({ isStaff: false, isSuperuser: false, ...rest });
  const name = { username: username?.value ?? null, usernameKey: username?.key ?? null };
  const user = await insertUser(tx, {
    // A pending address identifies no account.
    ...(isReserved || username !== undefined ? name : newUsername()),
    ...(isReserved && { email: email?.value ?? null, emailKey: email?.key ?? null, phone: phone?.value ?? null }),
    ...rest,
  });
  if (isReserved) {
    await insertSecurityTokens(
      tx,
      addresses.map(({ tokenId: id, kind, address }) => ({ id, userId: user.id, kind, address })),
    );
    const state = { emailVerified: email ? false : null, phoneVerified: phone ? false : null };
    return { ...user, ...state, pendingEmail: null, pendingPhone: null };
  }
  await moveLapsedAddresses(
    tx,
    addresses.map(({ tokenId }) => tokenId),
  );
  await throwIfTaken(app, tx, identifiers, user.id);
  for (const address of addresses) await putPendingAddress(tx, { userId: user.id, ...address });
  return getUser(tx, user.id);
}

function toAddress(app: App, { kind, key, value }: Identifier) {
  if (kind === 'username') throw new TypeError('A username is not an address.');
  return { kind, tokenId: computeTokenId(app, { kind, key }), address: value };
}
