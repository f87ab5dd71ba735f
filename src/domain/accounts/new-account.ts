/** Input and rows of a new account, for sign-up and for superusers. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { insertSecurityTokens } from '../../database/security-tokens.queries.js';
import { insertUser, type User } from '../../database/users.queries.js';
import { passwordIssue } from '../authentication/password-policy.js';
import { computeTokenId } from '../authenticators/registry.js';
import { identifierRequired, throwIfInvalid, type ValidationIssue } from '../errors.js';
import { type Identifier, identifierKinds } from '../identifiers.js';
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

export async function insertAccount(
  app: App,
  tx: Database,
  identifiers: Identifier[],
  rest: { passwordHash: string | null; isStaff?: boolean; isSuperuser?: boolean },
): Promise<User> {
  const { username, email, phone } = Object.fromEntries(identifiers.map((identifier) => [identifier.kind, identifier]));
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
    identifiers.flatMap(({ kind, key, value }) =>
      kind === 'username'
        ? []
        : [
            {
              id: computeTokenId(app, { kind, key }),
              userId: user.id,
              kind,
              address: value,
              givenAtSignUp: true,
              pending: false,
            },
          ],
    ),
  );
  return {
    ...user,
    emailVerified: email ? false : null,
    phoneVerified: phone ? false : null,
    pendingEmail: null,
    pendingPhone: null,
  };
}
