/**
 * Pairs of addresses that a stranger must not distinguish: one with an account in some state, and
 * one without.
 */
import { sql } from 'drizzle-orm';
import { caller, type Person, password, signUp, verify } from './people.js';
import type { Service } from './service.js';

/** For tests and benchmarks that repeat the same requests. */
export const withoutSendLimits = { OTP_SEND_INTERVAL_SECONDS: '0', OTP_SENDS_PER_HOUR: '0', OTP_SENDS_PER_DAY: '0' };

export interface Address {
  kind: 'email' | 'phone';
  address: string;
  tokenId: string;
}

export interface Pair {
  known: Address;
  unknown: Address;
}

/** The account of the known address. Both addresses of a pair have the same masked form. */
export const states: Record<string, (service: Service, address: Record<string, string>) => Promise<Person>> = {
  'that is verified': async (service, address) => {
    const person = await signUp(service, { ...address, password });
    await verify(service, person, person.emailToken || person.phoneToken);
    return person;
  },
  'given at sign-up': (service, address) => signUp(service, { ...address, password }),
  'of a user without a password': (service, address) => signUp(service, address),
  'of an inactive user': async (service, address) => {
    const person = await states['that is verified']!(service, address);
    await service.app.db.execute(sql`update users set is_active = false where id = ${person.id}`);
    return person;
  },
  'of staff, not verified': async (service, address) => {
    const person = await signUp(service, { ...address, password });
    await service.app.db.execute(sql`update users set is_staff = true where id = ${person.id}`);
    return person;
  },
  'of a superuser, not verified': async (service, address) => {
    const person = await signUp(service, { ...address, password });
    await service.app.db.execute(sql`update users set is_superuser = true where id = ${person.id}`);
    return person;
  },
  'beside a verified address, not verified': async (service, address) => {
    const other =
      'email' in address
        ? { phone: `+1202555${Math.floor(1000 + Math.random() * 9000)}` }
        : { email: `other-${Object.values(address)}@example.com` };
    const person = await signUp(service, { ...address, ...other, password });
    await verify(service, person, 'email' in address ? person.phoneToken : person.emailToken);
    return person;
  },
  'added later, not verified': async (service, address) => {
    const person = await signUp(service, { username: `later-${Math.random().toString(36).slice(2)}` });
    await person.updateUser(address);
    return person;
  },
  'with a pending replacement': async (service, address) => {
    const person = await states['that is verified']!(service, address);
    const next =
      'email' in address ? { email: `next-${address.email}` } : { phone: address.phone!.replace(/555/, '556') };
    await person.updateUser(next);
    return person;
  },
};

/** Creates a pair with an account in this state; `nth` distinguishes pairs of a database. */
export async function makePair(
  service: Service,
  state: string,
  kind: Address['kind'],
  nth: number,
): Promise<Pair & { person: Person }> {
  const number = String(nth).padStart(3, '0');
  const [known, unknown] =
    kind === 'email'
      ? [`alice${number}@example.com`, `alyce${number}@example.com`]
      : [`+1212555${number}7`, `+1213555${number}7`];
  const person = await states[state]!(service, { [kind]: known! });
  const addressOf = async (address: string): Promise<Address> => ({
    kind,
    address,
    tokenId: (await caller(service).securityTokens(address))[0]!.id,
  });
  return { known: await addressOf(known!), unknown: await addressOf(unknown!), person };
}

const newPassword = 'another horse battery';
const wrong = { email: 'BCDF2345', phone: '012345' };

/** All operations of a stranger on an address. */
export const questions: Record<string, (of: Address) => { document: string; variables: Record<string, unknown> }> = {
  securityTokens: ({ address }) => ({
    document:
      'query ($identifier: String!) { securityTokens(identifier: $identifier) { __typename id name verified failureCount retryAt expiresAt } }',
    variables: { identifier: address },
  }),
  ...Object.fromEntries(
    (['AUTHENTICATION', 'PASSWORD_RESET', 'VERIFICATION'] as const).flatMap((purpose) => [
      [
        `sendOneTimePassword for ${purpose}`,
        ({ tokenId }: Address) => ({
          document: `mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, purpose: ${purpose}) ${all('SendOneTimePasswordSuccess { expiresAt }')} }`,
          variables: { tokenId },
        }),
      ],
      [
        `checkOneTimePassword for ${purpose}`,
        ({ tokenId, kind }: Address) => ({
          document: `mutation ($tokenId: ID!, $oneTimePassword: String!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: ${purpose}) ${all('CheckOneTimePasswordSuccess { user { id } }')} }`,
          variables: { tokenId, oneTimePassword: wrong[kind] },
        }),
      ],
    ]),
  ),
  resetPassword: ({ tokenId, kind }) => reset(tokenId, wrong[kind], newPassword),
  'resetPassword to one that is too short': ({ tokenId, kind }) => reset(tokenId, wrong[kind], 'short'),
  'resetPassword to one that is like the address': ({ tokenId, kind, address }) => reset(tokenId, wrong[kind], address),
  authenticate: ({ kind, address }) => signIn({ [kind]: address, password: 'wrong' }),
  'authenticate without the kind': ({ address }) => signIn({ identifier: address, password: 'wrong' }),
  'authenticate by the empty password': ({ address }) => signIn({ identifier: address, password: '' }),
  unlockSecurityToken: ({ tokenId }) => byToken('unlockSecurityToken', tokenId),
  generateOneTimePassword: ({ tokenId }) => byToken('generateOneTimePassword', tokenId),
};

function all(success: string): string {
  return `{ __typename ... on ${success} ... on IdentityError { code message ... on ValidationError { issues { field code message } } ... on TimeoutError { retryAt retryAfterSeconds failureCount } } }`;
}

function reset(tokenId: string, oneTimePassword: string, password: string) {
  return {
    document: `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) ${all('ResetPasswordSuccess { user { id } }')} }`,
    variables: { input: { tokenId, oneTimePassword, newPassword: password } },
  };
}

function signIn(input: Record<string, string>) {
  return {
    document: `mutation ($input: AuthenticateInput!) { authenticate(input: $input) ${all('AuthenticateSuccess { user { id } }')} }`,
    variables: { input },
  };
}

function byToken(operation: string, tokenId: string) {
  return {
    document: `mutation ($tokenId: ID!) { ${operation}(tokenId: $tokenId) { __typename } }`,
    variables: { tokenId },
  };
}

/** Sends waiting messages, and clears failures and waits, so the next attempt is evaluated. */
export async function forgive({ app }: Service): Promise<void> {
  const { db } = app;
  await app.outbox();
  await db.execute(sql`update one_time_passwords set failure_count = 0, retry_at = null`);
  await db.execute(sql`delete from sign_in_throttles`);
}
