/** A GraphQL client for tests, and common sequences of requests. */
import assert from 'node:assert/strict';
import { Agent, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import {
  AuditEventPageDocument,
  type AuditEventPageQueryVariables,
  AuthenticateDocument,
  type AuthenticateInput,
  ChangeDocument,
  type ChangePasswordInput,
  CheckCodeDocument,
  CreateSuperuserDocument,
  type CreateSuperuserInput,
  CreateUserDocument,
  type CreateUserInput,
  DeleteDocument,
  EndSessionDocument,
  GenerateOneTimePasswordDocument,
  type OneTimePasswordPurpose,
  OwnProfileDocument,
  OwnSessionsDocument,
  ProfileByIdDocument,
  ProvePasswordDocument,
  RefreshDocument,
  ResetDocument,
  type ResetPasswordInput,
  RevokeDocument,
  RevokeOthersDocument,
  RevokeUserSessionsDocument,
  SecurityTokensDocument,
  SendOneTimePasswordDocument,
  SetUserPasswordDocument,
  type TypedDocumentString,
  UnlockDocument,
  UpdateDocument,
  type UpdateUserInput,
  UserPageDocument,
  type UserPageQueryVariables,
} from './generated/graphql.js';

// biome-ignore lint/suspicious/noExplicitAny: what a document as text is answered has no type
export interface Answer<Data = any> {
  status: number;
  headers: Headers;
  data: Data;
  // biome-ignore lint/suspicious/noExplicitAny: a test knows what extensions it asks for
  errors?: { message: string; path?: string[]; extensions: Record<string, any> }[];
}

/** `fetch` takes twice the processor time. */
const agent = new Agent({ keepAlive: true });

export interface RequestOptions {
  /** access token */
  token?: string | undefined;
  headers?: Record<string, string>;
}

/** Sends a document to `url`, and returns the response. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export async function send<R = any, V = Record<string, unknown>>(
  { url }: { url: string },
  query: string | TypedDocumentString<R, V>,
  variables?: NoInfer<V>,
  { token, headers = {} }: RequestOptions = {},
): Promise<Answer<R>> {
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
    ...((await json(response)) as Pick<Answer<R>, 'data'>),
  };
}

function toHeaders({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct))
    for (const value of values) headers.append(name, value);
  return headers;
}

/** A top-level error of an operation, with the whole response. */
export class TopLevelError extends Error {
  readonly code: unknown;
  constructor(readonly answer: Answer<unknown>) {
    super(JSON.stringify(answer.errors));
    this.code = answer.errors?.[0]?.extensions.code;
  }
}

/** Asserts that an operation responds only with a top-level error of this code. */
export async function expectError(operation: Promise<unknown>, code: string, what?: string): Promise<Answer<unknown>> {
  const answer = await operation.then(
    (result) => assert.fail(`${what ?? ''} expected ${code}, got ${JSON.stringify(result)}`),
    (error) => (error instanceof TopLevelError ? error.answer : Promise.reject(error)),
  );
  assert.deepEqual(
    [answer.data ?? null, answer.errors?.map(({ extensions }) => extensions.code)],
    [null, [code]],
    what,
  );
  return answer;
}

/** Asserts the union member of a result. */
export function expectMember<R extends { __typename: string }, const N extends R['__typename']>(
  result: R,
  name: N,
  what?: string,
): Extract<R, { __typename: N }> {
  assert.equal(result.__typename, name, `${what ?? 'the result'} is ${JSON.stringify(result)}`);
  // The name discriminates the members.
  return result as Extract<R, { __typename: N }>;
}

/** Asserts that a wait prevents the evaluation of an attempt. */
export function expectWait(
  result: { __typename: string; failureCount?: number | null | undefined; retryAfterSeconds?: number | undefined },
  failureCount: number | null,
  seconds = result.retryAfterSeconds,
): void {
  assert.deepEqual(
    [result.__typename, result.failureCount, result.retryAfterSeconds],
    ['TimeoutError', failureCount, seconds],
  );
}

/** Returns the issues of a validation error as `field CODE`. */
export function issuesOf(result: {
  __typename: string;
  issues?: { field: string | null; code: string }[] | undefined;
}) {
  assert.equal(result.__typename, 'ValidationError', JSON.stringify(result));
  return result.issues?.map(({ field, code }) => `${field} ${code}`);
}

type KeyOfMember<T> = T extends T ? keyof T : never;
/** Permits access to the fields of every member of a result; undefined for another member. */
type Readable<T, K extends PropertyKey = KeyOfMember<T>> = T extends { __typename: string }
  ? T & { [P in Exclude<K, keyof T>]?: undefined }
  : T;

/**
 * One function per operation: returns its field with every member selected. Throws a top-level
 * error.
 */
export function operations(service: { url: string }, options: RequestOptions = {}) {
  const run = async <R extends object, V extends Record<string, unknown>>(
    document: TypedDocumentString<R, V>,
    variables: V,
  ): Promise<Readable<R[keyof R]>> => {
    const answer = await send(service, document, variables, options);
    if (answer.errors !== undefined) throw new TopLevelError(answer);
    // Every document of the tests has one field.
    return Object.values(answer.data)[0] as Readable<R[keyof R]>;
  };
  const signedIn = <U>(user: U | null): U => {
    assert.ok(user !== null, 'the caller is not signed in');
    return user;
  };
  return {
    createUser: (input: CreateUserInput) => run(CreateUserDocument, { input }),
    createSuperuser: (input: CreateSuperuserInput) => run(CreateSuperuserDocument, { input }),
    authenticate: (input: AuthenticateInput) => run(AuthenticateDocument, { input }),
    resetPassword: (input: ResetPasswordInput) => run(ResetDocument, { input }),
    refreshSession: (refreshToken?: string | null) => run(RefreshDocument, { refreshToken }),
    signOut: (refreshToken?: string | null) => run(EndSessionDocument, { refreshToken }),
    revokeSession: (id: string) => run(RevokeDocument, { id }),
    revokeOtherSessions: () => run(RevokeOthersDocument, {}),
    reauthenticate: (currentPassword: string) => run(ProvePasswordDocument, { currentPassword }),
    revokeUserSessions: (id: string) => run(RevokeUserSessionsDocument, { id }),

    securityTokens: (identifier: string) => run(SecurityTokensDocument, { identifier }),
    sendOneTimePassword: (tokenId: string, purpose: OneTimePasswordPurpose = 'AUTHENTICATION') =>
      run(SendOneTimePasswordDocument, { tokenId, purpose }),
    checkOneTimePassword: (
      tokenId: string,
      oneTimePassword: string,
      purpose: OneTimePasswordPurpose = 'AUTHENTICATION',
    ) => run(CheckCodeDocument, { tokenId, oneTimePassword, purpose }),
    generateOneTimePassword: (tokenId: string, purpose: OneTimePasswordPurpose = 'AUTHENTICATION') =>
      run(GenerateOneTimePasswordDocument, { tokenId, purpose }),
    unlockSecurityToken: (tokenId: string) => run(UnlockDocument, { tokenId }),

    isSignedIn: async () => {
      const { data, errors } = await send(service, OwnProfileDocument, {}, options);
      assert.ok(errors === undefined || errors[0]?.extensions.code === 'UNAUTHENTICATED', JSON.stringify(errors));
      return Boolean(data?.me);
    },
    /** Returns the account of the signed-in caller. */
    me: async () => signedIn(await run(OwnProfileDocument, {})),
    /** Returns the caller's sessions with every field. */
    sessions: async () => signedIn(await run(OwnSessionsDocument, {})).sessions,
    updateUser: (input: UpdateUserInput, proof: Proof = {}) => run(UpdateDocument, { input, ...proof }),
    deleteUser: (proof: Proof = {}) => run(DeleteDocument, proof),
    changePassword: (input: ChangePasswordInput) => run(ChangeDocument, { input }),
    setUserPassword: (id: string, newPassword: string) => run(SetUserPasswordDocument, { id, newPassword }),

    user: (id: string) => run(ProfileByIdDocument, { id }),
    users: (page: UserPageQueryVariables = {}) => run(UserPageDocument, page),
    auditEvents: (page: AuditEventPageQueryVariables = {}) => run(AuditEventPageDocument, page),
  };
}

/** The target account, by default the caller's, and the proof of the caller. */
interface Proof {
  id?: string | null | undefined;
  currentPassword?: string;
}

export interface OutboxEntry {
  channel: 'email' | 'sms';
  to: string;
  subject: string | null;
  text: string;
  oneTimePassword: string;
  sentAt: string;
}

/** Returns the captured messages, newest first. */
export async function outbox({ url }: { url: string }): Promise<OutboxEntry[]> {
  const response = await fetch(`${url}/dev/outbox`, { headers: { accept: 'application/json' } });
  return (await response.json()) as OutboxEntry[];
}

/** The message sent last to the address. */
export async function lastMessageTo(service: { url: string }, address: string): Promise<OutboxEntry> {
  const message = (await outbox(service)).find(({ to }) => to === address);
  assert.ok(message, `no message to ${address} was kept`);
  return message;
}

/** The one-time password sent last to the address. */
export async function oneTimePasswordSentTo(service: { url: string }, address: string): Promise<string> {
  const messages = await outbox(service);
  const message = messages.find(({ to, oneTimePassword }) => to === address && oneTimePassword !== null);
  assert.ok(message, `no one-time password was sent to ${address}`);
  return message.oneTimePassword;
}

/** Runs the work with ten items at a time. */
export async function inTens<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += 10)
    results.push(...(await Promise.all(items.slice(first, first + 10).map(work))));
  return results;
}
