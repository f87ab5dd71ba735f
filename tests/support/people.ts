/** The people of the tests: signed up, signed in, reading their messages. */
import assert from 'node:assert/strict';
import { type OutboxEntry, oneTimePasswordSentTo, operations, outbox, type RequestOptions, send } from './client.js';
import { advance, type Service } from './service.js';

type Url = { url: string };

export const password = 'correct horse battery';

/** Every operation, and any document, asked by whoever the options say. */
export function caller(service: Url, options: RequestOptions = {}) {
  return {
    ...operations(service, options),
    /** The whole answer to a document, whatever it is. */
    ask: (document: string, variables: Record<string, unknown> = {}) => send(service, document, variables, options),
  };
}

export type Caller = ReturnType<typeof caller>;

export interface Person extends Caller {
  id: string;
  /** as the sign-up answered it */
  // biome-ignore lint/suspicious/noExplicitAny: what a test asserts on is what types it
  user: any;
  // biome-ignore lint/suspicious/noExplicitAny: likewise
  tokens: any;
  /** the ids of the security tokens of the email and of the phone */
  emailToken: string;
  phoneToken: string;
}

/** Signs somebody up, who asks by the access token of that session from then on. */
export async function signUp(
  service: Url,
  input: Record<string, unknown>,
  options: RequestOptions = {},
): Promise<Person> {
  const { __typename, user, tokens, ...rest } = await caller(service, options).createUser(input);
  assert.equal(__typename, 'CreateUserSuccess', JSON.stringify(rest));
  return person(service, user, tokens, options);
}

/** Makes the first superuser, who asks by the access token of a session from then on. */
export async function makeSuperuser(service: Service, input: Record<string, unknown> = {}): Promise<Person> {
  const bootstrap = caller(service, { headers: { 'x-bootstrap-secret': service.app.bootstrapSecret! } });
  const made = await bootstrap.createSuperuser({ username: 'root', password, ...input });
  assert.equal(made.__typename, 'CreateSuperuserSuccess', JSON.stringify(made));
  const { user, tokens } = await caller(service).authenticate({ username: made.user.username, password });
  return person(service, user, tokens);
}

function person(service: Url, user: Person['user'], tokens: Person['tokens'], options: RequestOptions = {}): Person {
  const token = (kind: string) =>
    user.securityTokens.find(({ __typename }: { __typename: string }) => __typename === kind)?.id;
  return {
    ...caller(service, { ...options, token: tokens.accessToken }),
    id: user.id,
    user,
    tokens,
    emailToken: token('EmailToken'),
    phoneToken: token('PhoneToken'),
  };
}

/** The message kept last. */
export async function lastMessage(service: Url): Promise<OutboxEntry> {
  const [message] = await outbox(service);
  assert.ok(message, 'no message was kept');
  return message;
}

/** The id of the security token of an address, whether anybody has it or not. */
export async function securityTokenOf(service: Url, address: string): Promise<string> {
  const [token] = await caller(service).securityTokens(address);
  return token.id;
}

/** Asks for a one-time password and reads it where it arrives; the next one can be asked for at once. */
export async function receiveOneTimePassword(
  service: Service,
  asker: Pick<Caller, 'sendOneTimePassword'>,
  address: string,
  purpose: 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET',
): Promise<string> {
  const sent = await asker.sendOneTimePassword(await securityTokenOf(service, address), purpose);
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess', JSON.stringify(sent));
  const code = await oneTimePasswordSentTo(service, address);
  await advance(service, 30);
  return code;
}

/** Proves to the service that the signed-in owner reads what is sent to the address. */
export async function verify(service: Url, owner: Caller, tokenId: string): Promise<void> {
  const sent = await owner.sendOneTimePassword(tokenId, 'VERIFICATION');
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess', JSON.stringify(sent));
  const { oneTimePassword } = await lastMessage(service);
  const checked = await owner.checkOneTimePassword(tokenId, oneTimePassword, 'VERIFICATION');
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess', JSON.stringify(checked));
}
