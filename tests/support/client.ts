/** A GraphQL client of the tests, and the sequences that many of them begin with. */
import assert from 'node:assert/strict';
import { Agent, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is what types it
  data: any;
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  errors?: { message: string; path?: string[]; extensions: Record<string, any> }[];
}

/** `fetch` takes twice the processor time of this for a request. */
const agent = new Agent({ keepAlive: true });

export interface RequestOptions {
  /** access token */
  token?: string | undefined;
  headers?: Record<string, string>;
}

/** Sends a document to `url` and gives its answer, whatever it is. */
export async function send(
  { url }: { url: string },
  query: string,
  variables: Record<string, unknown> = {},
  { token, headers = {} }: RequestOptions = {},
): Promise<Answer> {
  const body = JSON.stringify({ query, variables });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${url}/graphql`, {
      method: 'POST',
      agent,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
    })
      .on('response', resolve)
      .on('error', reject)
      .end(body);
  });
  return {
    status: response.statusCode ?? 0,
    headers: toHeaders(response),
    ...((await json(response)) as Pick<Answer, 'data'>),
  };
}

function toHeaders({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct))
    for (const value of values) headers.append(name, value);
  return headers;
}

const identityError =
  '... on IdentityError { code message ... on ValidationError { issues { field code } } ... on TimeoutError { retryAt retryAfterSeconds failureCount } }';
const user =
  'user { id username email phone emailVerified phoneVerified hasUsablePassword isActive isStaff isSuperuser dateJoined lastLogin securityTokens { __typename id name verified failureCount retryAt expiresAt } }';
/** Nested, so that it may be spread in a union without these members too. */
const refusal =
  '... on IdentityError { code message ... on ValidationError { issues { field code } } ... on TimeoutError { retryAt retryAfterSeconds failureCount } }';
const account = user
  .replace('emailVerified', 'pendingEmail pendingPhone emailVerified')
  .replace(/ }$/, ' sessions { id current } }');
const tokens =
  'tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt session { id current authenticationMethods userAgent ipAddress createdAt expiresAt } }';

const session = 'session { id current createdAt lastUsedAt expiresAt userAgent ipAddress authenticationMethods }';

/** One function for each operation: gives what its field answers, with every member selected, and asserts that there was no top-level error. */
export function operations(service: { url: string }, options: RequestOptions = {}) {
  const run = async (field: string, document: string, variables: Record<string, unknown> = {}) => {
    const answer = await send(service, document, variables, options);
    assert.equal(answer.errors, undefined, `${field}: ${JSON.stringify(answer.errors)}`);
    return answer.data[field];
  };
  type Purpose = 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';
  return {
    createUser: (input: Record<string, unknown>) =>
      run(
        'createUser',
        `mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename ... on CreateUserSuccess { ${user} ${tokens} } ${identityError} } }`,
        { input },
      ),
    createSuperuser: (input: Record<string, unknown>) =>
      run(
        'createSuperuser',
        `mutation ($input: CreateSuperuserInput!) { createSuperuser(input: $input) { __typename ... on CreateSuperuserSuccess { ${user} } ${identityError} } }`,
        { input },
      ),
    authenticate: (input: Record<string, unknown>) =>
      run(
        'authenticate',
        `mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename ... on AuthenticateSuccess { ${user} ${tokens} } ${identityError} } }`,
        { input },
      ),
    me: () => run('me', `{ me { ${user.slice(7, -2)} sessions { id current } } }`),
    securityTokens: (identifier: string) =>
      run(
        'securityTokens',
        'query ($identifier: String!) { securityTokens(identifier: $identifier) { __typename id name verified failureCount retryAt expiresAt } }',
        { identifier },
      ),
    generateOneTimePassword: (tokenId: string, purpose: Purpose = 'AUTHENTICATION') =>
      run(
        'generateOneTimePassword',
        `mutation ($tokenId: ID!, $purpose: OneTimePasswordPurpose!) { generateOneTimePassword(tokenId: $tokenId, purpose: $purpose) { __typename ... on GenerateOneTimePasswordSuccess { oneTimePassword expiresAt securityToken { id } } ${identityError} } }`,
        { tokenId, purpose },
      ),
    sendOneTimePassword: (tokenId: string, purpose: Purpose = 'AUTHENTICATION') =>
      run(
        'sendOneTimePassword',
        `mutation ($tokenId: ID!, $purpose: OneTimePasswordPurpose!) { sendOneTimePassword(tokenId: $tokenId, purpose: $purpose) { __typename ... on SendOneTimePasswordSuccess { expiresAt } ${identityError} } }`,
        { tokenId, purpose },
      ),
    checkOneTimePassword: (tokenId: string, oneTimePassword: string, purpose: Purpose = 'AUTHENTICATION') =>
      run(
        'checkOneTimePassword',
        `mutation ($tokenId: ID!, $oneTimePassword: String!, $purpose: OneTimePasswordPurpose!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: $purpose) { __typename ... on CheckOneTimePasswordSuccess { securityToken { id verified failureCount retryAt expiresAt } ${user} ${tokens} } ${identityError} } }`,
        { tokenId, oneTimePassword, purpose },
      ),
    signOut: (refreshToken?: string) =>
      run('signOut', 'mutation ($refreshToken: String) { signOut(refreshToken: $refreshToken) { signedOut } }', {
        refreshToken,
      }),
    refreshSession: (refreshToken?: string) =>
      run(
        'refreshSession',
        `mutation ($refreshToken: String) { refreshSession(refreshToken: $refreshToken) { __typename ... on RefreshSessionSuccess { ${user} ${tokens} } ... on IdentityError { code message } } }`,
        { refreshToken },
      ),
    revokeSession: (id: string) =>
      run(
        'revokeSession',
        `mutation ($id: ID!) { revokeSession(id: $id) { __typename ... on RevokeSessionSuccess { ${session} } ... on IdentityError { code message } } }`,
        { id },
      ),
    revokeOtherSessions: () => run('revokeOtherSessions', 'mutation { revokeOtherSessions { revokedCount } }'),
    revokeUserSessions: (id: string) =>
      run(
        'revokeUserSessions',
        `mutation ($id: ID!) { revokeUserSessions(id: $id) { __typename ... on RevokeUserSessionsSuccess { revokedCount } ... on IdentityError { code message } } }`,
        { id },
      ),
    /** The caller's own, with every field. */
    sessions: async () => (await run('me', `{ me { ${session.replace('session', 'sessions')} } }`)).sessions,
    updateUser: (input: Record<string, unknown>, proof: { id?: string; currentPassword?: string } = {}) =>
      run(
        'updateUser',
        `mutation ($id: ID, $input: UpdateUserInput!, $currentPassword: String) { updateUser(id: $id, input: $input, currentPassword: $currentPassword) { __typename ... on UpdateUserSuccess { ${account} } ${refusal} } }`,
        { input, ...proof },
      ),
    deleteUser: (proof: { id?: string; currentPassword?: string } = {}) =>
      run(
        'deleteUser',
        `mutation ($id: ID, $currentPassword: String) { deleteUser(id: $id, currentPassword: $currentPassword) { __typename ... on DeleteUserSuccess { id } ${refusal} } }`,
        proof,
      ),
    changePassword: (input: Record<string, unknown>) =>
      run(
        'changePassword',
        `mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename ... on ChangePasswordSuccess { ${account} } ${refusal} } }`,
        { input },
      ),
    setUserPassword: (id: string, newPassword: string) =>
      run(
        'setUserPassword',
        `mutation ($id: ID!, $newPassword: String!) { setUserPassword(id: $id, newPassword: $newPassword) { __typename ... on SetUserPasswordSuccess { ${account} } ${refusal} } }`,
        { id, newPassword },
      ),
    resetPassword: (input: Record<string, unknown>) =>
      run(
        'resetPassword',
        `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { __typename ... on ResetPasswordSuccess { ${account} ${tokens} } ${refusal} } }`,
        { input },
      ),
    unlockSecurityToken: (tokenId: string) =>
      run(
        'unlockSecurityToken',
        `mutation ($tokenId: ID!) { unlockSecurityToken(tokenId: $tokenId) { __typename ... on UnlockSecurityTokenSuccess { securityToken { id name verified failureCount retryAt expiresAt } } ${refusal} } }`,
        { tokenId },
      ),
    /** The caller with pending addresses and sessions, as `updateUser` answers it. */
    account: () => run('me', `{ me { ${account.slice(7, -2)} } }`),
    user: (id: string) => run('user', `query ($id: ID!) { user(id: $id) { ${account.slice(7, -2)} } }`, { id }),
    auditEvents: (page: Record<string, unknown> = {}) =>
      run(
        'auditEvents',
        'query ($first: Int, $after: String, $userId: ID, $kind: AuditEventKind, $since: DateTime, $until: DateTime) { auditEvents(first: $first, after: $after, userId: $userId, kind: $kind, since: $since, until: $until) { edges { cursor node { id } } nodes { id kind occurredAt actorId subjectId sessionId securityTokenId detail ipAddress userAgent } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }',
        page,
      ),
    users: (page: { first?: number | null; after?: string | null; search?: string | null } = {}) =>
      run(
        'users',
        'query ($first: Int, $after: String, $search: String) { users(first: $first, after: $after, search: $search) { edges { cursor node { id } } nodes { id username email phone dateJoined } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }',
        page,
      ),
  };
}

export interface OutboxEntry {
  channel: 'email' | 'sms';
  to: string;
  subject: string | null;
  text: string;
  oneTimePassword: string;
  sentAt: string;
}

/** The messages kept in place of sending, newest first. */
export async function outbox({ url }: { url: string }): Promise<OutboxEntry[]> {
  const response = await fetch(`${url}/dev/outbox`, { headers: { accept: 'application/json' } });
  return (await response.json()) as OutboxEntry[];
}

/** The one-time password sent last to the address. */
export async function oneTimePasswordSentTo(service: { url: string }, address: string): Promise<string> {
  const messages = await outbox(service);
  const message = messages.find(({ to, oneTimePassword }) => to === address && oneTimePassword !== null);
  assert.ok(message, `no one-time password was sent to ${address}`);
  return message.oneTimePassword;
}

/** Does the work for ten at a time. */
export async function inTens<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += 10)
    results.push(...(await Promise.all(items.slice(first, first + 10).map(work))));
  return results;
}
