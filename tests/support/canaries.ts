/**
 * Runs all operations of a service with canary secrets, then searches its log, responses and
 * database.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Answer, send } from './client.js';
import { type Collector, startCollector } from './collector.js';
import { connect } from './replicas.js';
import { schemaOperation, schemaOperations } from './schema-operations.js';
import { sendGridApiKey } from './sendgrid.js';
import { createDatabase, type ServiceProcess, sharedSecrets, spawnService, temporaryFolder } from './service.js';
import { vonageCredentials } from './vonage.js';

/** A secret, and the only response that may contain it. */
interface Secret {
  what: string;
  text: string;
  issuedBy?: string;
}

export interface Run {
  service: ServiceProcess;
  collector: Collector;
  databaseUrl: string;
  secrets: Secret[];
  answers: { what: string; text: string }[];
  asked: Set<string>;
}

export async function startWithCanaries(environment: Record<string, string>): Promise<Run> {
  const databaseUrl = await createDatabase();
  const own = sharedSecrets();
  const collector = await startCollector();
  const service = await spawnService({
    LOG_LEVEL: 'trace',
    DATABASE_URL: databaseUrl,
    DATA_DIR: temporaryFolder(),
    OTP_SEND_INTERVAL_SECONDS: '0',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...own,
    ...environment,
  });
  const secrets = Object.entries({
    ...own,
    SENDGRID_API_KEY: sendGridApiKey,
    VONAGE_API_SECRET: vonageCredentials.apiSecret,
    'the password of the database': new URL(databaseUrl).password,
  }).map(([what, text]) => ({ what, text }));
  // The password of the test database is a common word of its log.
  return {
    service,
    collector,
    databaseUrl,
    secrets: secrets.filter(({ text }) => text.length > 12),
    answers: [],
    asked: new Set(),
  };
}

/** Runs an operation, and records its response and its tokens. */
export async function ask(
  run: Run,
  name: string,
  variables: Record<string, unknown> = {},
  { token, headers = {} }: { token?: string | undefined; headers?: Record<string, string> } = {},
  // biome-ignore lint/suspicious/noExplicitAny: what a test goes on with is what types it
): Promise<any> {
  const { document } = schemaOperation(name);
  const answer: Answer = await send(run.service, document, variables, { token, headers });
  const what = `answer ${run.answers.length}, of ${name}`;
  run.asked.add(name);
  run.answers.push({ what, text: JSON.stringify({ ...answer, headers: [...answer.headers] }) });
  const data = answer.data?.[name];
  for (const kind of ['accessToken', 'refreshToken'])
    if (data?.tokens?.[kind])
      run.secrets.push({ what: `the ${kind} of ${what}`, text: data.tokens[kind], issuedBy: what });
  if (data?.oneTimePassword)
    run.secrets.push({ what: `what ${what} made`, text: data.oneTimePassword, issuedBy: what });
  return data ?? answer;
}

/** Creates and records a unique password. */
export function canary(run: Run, what: string): string {
  const text = `canary ${randomBytes(9).toString('base64url')} violin`;
  run.secrets.push({ what, text });
  return text;
}

/** Runs all operations. @param received returns the latest one-time password of an address */
export async function lead(run: Run, received: (address: string) => Promise<string>): Promise<void> {
  const { query, advance } = await connect(run.databaseUrl);
  const receive = async (address: string) => {
    const text = await received(address);
    run.secrets.push({ what: `the one-time password sent to ${address}`, text });
    return text;
  };
  const bootstrap = {
    headers: { 'x-bootstrap-secret': run.secrets.find(({ what }) => what === 'BOOTSTRAP_SECRET')!.text },
  };
  const guess = canary(run, 'a bootstrap secret that is not the right one');
  await ask(run, 'createSuperuser', { input: { username: 'mallory' } }, { headers: { 'x-bootstrap-secret': guess } });
  const rootPassword = canary(run, 'the password of the superuser');
  await ask(run, 'createSuperuser', { input: { username: 'root', password: rootPassword } }, bootstrap);
  await ask(run, 'createSuperuser', { input: { username: 'root2', password: rootPassword } }, bootstrap);
  const root = {
    token: (await ask(run, 'authenticate', { input: { username: 'root', password: rootPassword } })).tokens.accessToken,
  };

  // Valid and invalid sign-ups, with the password in every field.
  const email = 'alice@example.com';
  const phone = '+12025550123';
  const password = canary(run, 'the first password');
  await ask(run, 'createUser', { input: { username: 'x y', email: 'nope', phone: '1', password } });
  await ask(run, 'createUser', { input: { email, password: [password] } });
  await ask(run, 'createUser', { input: { email, passwort: password } });
  await ask(run, 'createUser', { input: password });
  await ask(run, 'createUser', {
    input: { username: `forged\n{"level":30,"msg":"forged"}`, email: `forged\r\n@example.com`, password },
  });
  const signedUp = await ask(run, 'createUser', { input: { username: 'alice', email, phone, password } });
  await ask(run, 'createUser', { input: { username: 'alice', email, phone, password } });
  const alice = { token: signedUp.tokens.accessToken };
  const bob = {
    token: (await ask(run, 'createUser', { input: { username: 'bob', password: canary(run, 'the password of bob') } }))
      .tokens.accessToken,
  };
  const tokenId = signedUp.user.securityTokens[0].id;
  const phoneTokenId = signedUp.user.securityTokens[1].id;

  // Sign-ins with typing errors and secrets in the wrong field.
  await ask(run, 'authenticate', {
    input: { username: 'alice', password: canary(run, 'a password that was mistyped') },
  });
  await ask(run, 'authenticate', {
    input: { identifier: canary(run, 'a password in place of a name'), password: 'x' },
  });
  await ask(run, 'authenticate', { input: { identifier: 'forged\n{"level":30,"msg":"forged"}', password: 'x\ny' } });
  await ask(run, 'authenticate', { input: { username: 'alice', password: [canary(run, 'a password in a list')] } });
  await ask(run, 'securityTokens', { identifier: canary(run, 'a password that is looked up') });
  await ask(run, 'securityTokens', { identifier: email });
  await advance(2);
  const signedIn = await ask(run, 'authenticate', { input: { identifier: email, password } });
  assert.equal(signedIn.__typename, 'AuthenticateSuccess');
  const inCookie = await send(
    run.service,
    schemaOperation('authenticate').document,
    { input: { username: 'alice', password } },
    { headers: { 'x-session-transport': 'cookie' } },
  );
  assert.equal(inCookie.data?.authenticate.__typename, 'AuthenticateSuccess', JSON.stringify(inCookie));
  run.secrets.push({
    what: 'the refresh token in the cookie',
    text: /=([^;]{20,})/.exec(inCookie.headers.get('set-cookie')!)![1]!,
  });

  // One-time passwords of every purpose.
  await ask(run, 'sendOneTimePassword', { tokenId, purpose: 'VERIFICATION' }, alice);
  const verification = await receive(email);
  await ask(run, 'checkOneTimePassword', { tokenId, oneTimePassword: [verification], purpose: 'VERIFICATION' }, alice);
  const checked = await ask(
    run,
    'checkOneTimePassword',
    { tokenId, oneTimePassword: verification, purpose: 'VERIFICATION' },
    alice,
  );
  assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
  await ask(run, 'checkOneTimePassword', { tokenId, oneTimePassword: verification, purpose: 'VERIFICATION' }, alice);
  await ask(run, 'unlockSecurityToken', { tokenId }, alice);
  await ask(run, 'sendOneTimePassword', { tokenId: phoneTokenId, purpose: 'VERIFICATION' }, alice);
  await receive(phone);
  await ask(run, 'sendOneTimePassword', { tokenId, purpose: 'PASSWORD_RESET' });
  const code = await receive(email);
  const second = canary(run, 'the second password');
  await ask(run, 'resetPassword', { input: { tokenId, oneTimePassword: code, newPassword: 'canary' } });
  await ask(run, 'resetPassword', { input: { tokenId, oneTimePassword: { code }, newPassword: [second] } });
  const reset = await ask(run, 'resetPassword', { input: { tokenId, oneTimePassword: code, newPassword: second } });
  assert.equal(reset.__typename, 'ResetPasswordSuccess', JSON.stringify(reset));
  await ask(run, 'generateOneTimePassword', { tokenId, purpose: 'AUTHENTICATION' }, root);
  const owner = { token: reset.tokens.accessToken };

  // Sessions and their tokens: valid, used, forged and in the wrong argument.
  const refreshed = await ask(run, 'refreshSession', { refreshToken: reset.tokens.refreshToken });
  await ask(run, 'refreshSession', { refreshToken: signedIn.tokens.refreshToken });
  await ask(run, 'refreshSession', { refreshToken: signedUp.tokens.accessToken });
  await ask(run, 'refreshSession', { refreshToken: canary(run, 'a password in place of a refresh token') });
  await ask(run, 'me', {}, { token: canary(run, 'a password in place of an access token').replaceAll(' ', '-') });
  await ask(run, 'me', {}, { token: refreshed.tokens.refreshToken });
  await ask(run, 'user', { id: canary(run, 'a password in place of an id') }, root);
  await ask(run, 'revokeSession', { id: canary(run, 'a password in place of the id of a session') }, owner);

  // Changes, and the views of staff.
  const third = canary(run, 'the third password');
  await ask(
    run,
    'changePassword',
    { input: { currentPassword: canary(run, 'a current password that is not right'), newPassword: third } },
    owner,
  );
  await advance(2);
  const changed = await ask(run, 'changePassword', { input: { currentPassword: second, newPassword: third } }, owner);
  assert.equal(changed.__typename, 'ChangePasswordSuccess');
  await ask(
    run,
    'updateUser',
    { input: { username: 'alice2', email: 'alice2@example.com' }, currentPassword: third },
    owner,
  );
  await ask(
    run,
    'updateUser',
    { input: { username: 'alice3' }, currentPassword: canary(run, 'one more that is not right') },
    owner,
  );
  await ask(run, 'me', {}, owner);
  await ask(run, 'policy');
  await ask(run, 'users', { search: canary(run, 'a password that is searched for').slice(0, 100) }, root);
  await ask(run, 'users', { first: 100 }, root);
  await ask(
    run,
    'setUserPassword',
    { id: signedUp.user.id, newPassword: canary(run, 'the password that a superuser set') },
    root,
  );
  await ask(run, 'revokeUserSessions', { id: signedUp.user.id }, root);
  await ask(run, 'revokeOtherSessions', {}, bob);
  for (const { name } of schemaOperations.filter(
    ({ name }) => !run.asked.has(name) && !['signOut', 'deleteUser'].includes(name),
  ))
    await ask(run, name, {}, root);
  await ask(run, 'signOut', { refreshToken: canary(run, 'a password in place of a refresh token to end') });
  await ask(run, 'deleteUser', { currentPassword: canary(run, 'a current password that was mistyped by bob') }, bob);
  await ask(run, 'deleteUser', {}, bob);

  // A missing table: the driver error contains the statement and its parameters.
  for (const table of ['sessions', 'users', 'one_time_passwords']) {
    await query(`alter table ${table} rename to ${table}_away`);
    await ask(run, 'refreshSession', { refreshToken: refreshed.tokens.refreshToken });
    await ask(run, 'createUser', {
      input: { username: 'carol', password: canary(run, `a password where ${table} is away`) },
    });
    await ask(run, 'authenticate', { input: { username: 'root', password: rootPassword } });
    await ask(run, 'checkOneTimePassword', { tokenId, oneTimePassword: code, purpose: 'AUTHENTICATION' });
    await ask(run, 'me', {}, root);
    await query(`alter table ${table}_away rename to ${table}`);
  }
  assert.deepEqual(
    schemaOperations.map(({ name }) => name).filter((name) => !run.asked.has(name)),
    [],
    'every operation was asked',
  );
}

/** Returns every row of every table as text, with bytes in hexadecimal. */
async function dump(databaseUrl: string): Promise<string> {
  const { query } = await connect(databaseUrl);
  const tables = await query(
    `select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema')`,
  );
  assert.ok(tables.length >= 8);
  const rows: string[] = [];
  for (const { name } of tables)
    rows.push(...(await query(`select row::text as text from ${name} as row`)).map(({ text }) => `${name}: ${text}`));
  return rows.join('\n');
}

/** The encodings of a secret to search for. */
function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  return [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
  ];
}

function assertNoSecret(
  run: Run,
  where: string,
  text: string,
  allowed: (secret: Secret) => boolean = () => false,
): void {
  const lower = text.toLowerCase();
  for (const secret of run.secrets) {
    // Long numbers contain any six digits.
    const found = formsOf(secret.text).some((form) =>
      /^\d+$/.test(form) && form.length < 8
        ? new RegExp(`(?<![\\da-f.])${form}(?![\\da-f])`).test(text)
        : form.length >= 8 && lower.includes(form.toLowerCase()),
    );
    assert.ok(!found || allowed(secret), `${secret.what} (${secret.text}) is in ${where}`);
  }
}

export async function assertKept(run: Run): Promise<void> {
  await run.service.kill('SIGTERM');
  const log = run.service.output();
  assertNoSecret(run, 'the log', log);
  // The stop sends the remaining traces.
  const traces = run.collector.received();
  if (run.answers.length > 0) assert.ok(run.collector.spans().length > run.answers.length);
  assertNoSecret(run, 'the traces', traces);
  for (const typed of ['example.com', '2025550', 'forged'])
    assert.ok(!traces.includes(typed), `${typed} is in the traces`);
  for (const { what, text } of run.answers) assertNoSecret(run, what, text, ({ issuedBy }) => issuedBy === what);
  assertNoSecret(run, 'the database', await dump(run.databaseUrl));
}
