/** Two processes of the service on one PostgreSQL, for races of signed-in users. */
import assert from 'node:assert/strict';
import { sql } from 'drizzle-orm';
import type { Answer } from './client.js';
import { type Caller, caller, type Person } from './people.js';
import { createDatabase, type Service, sharedSecrets, spawnService, startService } from './service.js';

/** Starts both without limits of sends. */
export async function startAccountRaces() {
  const environment = {
    DATABASE_URL: await createDatabase(),
    OTP_SEND_INTERVAL_SECONDS: '0',
    OTP_SENDS_PER_HOUR: '0',
    OTP_SENDS_PER_DAY: '0',
    SMS_PREFIX_SENDS_PER_HOUR: '0',
    ...sharedSecrets(),
  };
  // One of the two, in this process. It also shifts time and counts rows in their database.
  const service = await startService(environment);
  const replicas = [service, await spawnService(environment)] as const;
  /** Uses the session on one of the replicas. */
  const at = (replica: number, person?: Pick<Person, 'tokens'>): Caller =>
    caller(replicas[replica % 2]!, person ? { token: person.tokens.accessToken } : {});
  return { service, at, databaseUrl: environment.DATABASE_URL };
}

/** Returns the union member or the error code. Rejects internal and unavailable errors. */
export function outcomeOf({ errors, data }: Answer): string {
  const code = errors?.[0]?.extensions.code;
  assert.ok(code !== 'INTERNAL_SERVER_ERROR' && code !== 'SERVICE_UNAVAILABLE', JSON.stringify(errors));
  return code ?? (Object.values(data)[0] as { __typename: string }).__typename;
}

export const documents = {
  updateUser:
    'mutation ($id: ID, $input: UpdateUserInput!) { updateUser(id: $id, input: $input) { __typename ... on IdentityError { code ... on ValidationError { issues { field code } } } } }',
  deleteUser: 'mutation ($id: ID) { deleteUser(id: $id) { __typename ... on IdentityError { code } } }',
  send: 'mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, purpose: VERIFICATION) { __typename ... on IdentityError { code } } }',
  check:
    'mutation ($tokenId: ID!, $code: String!, $purpose: OneTimePasswordPurpose!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $code, purpose: $purpose) { __typename ... on IdentityError { code } ... on CheckOneTimePasswordSuccess { user { id } tokens { accessToken } } } }',
};

/** Asserts that each address has one token, and each token an address. */
export async function assertConsistent({ app: { db } }: Service): Promise<void> {
  const addresses = sql`select id as user_id, 'email' as kind, email as address from users where email is not null
    union all select id, 'phone', phone from users where phone is not null`;
  const tokens = sql`select user_id, kind::text, address from security_tokens where not pending`;
  const { rows } = (await db.execute(
    sql`((${addresses}) except (${tokens})) union all ((${tokens}) except (${addresses}))`,
  )) as unknown as { rows: unknown[] };
  assert.deepEqual(rows, []);
}
