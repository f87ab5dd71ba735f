/** A kill and restart of the service between any two steps loses nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectMember, operations, outbox } from '../support/client.js';
import { openTestDatabase } from '../support/database.js';
import {
  advance,
  createDatabase,
  type Service,
  type ServiceProcess,
  spawnService,
  temporaryFolder,
} from '../support/service.js';

const password = 'correct horse battery';
const alice = { username: 'alice', email: 'alice@example.com' };

/** The log line of a listening service. */
async function greeting(service: ServiceProcess): Promise<string> {
  while (!service.output().includes('Data ')) await new Promise((resolve) => setTimeout(resolve, 10));
  return service.output();
}

for (const [name, makeEnvironment] of [
  [
    'PostgreSQL',
    async () => ({ DATABASE_URL: await createDatabase('template template0'), DATA_DIR: temporaryFolder() }),
  ],
  ['the embedded database', async () => ({ DATA_DIR: temporaryFolder() })],
] as const) {
  test(`a kill and restart between any two steps loses nothing on ${name}`, async () => {
    // Without configured secrets: later starts read the secrets of the first.
    const environment: Record<string, string> = await makeEnvironment();
    let service = await spawnService(environment);
    /** @param seconds time that passes; negative if a wait must not end before the restart */
    const restart = async (seconds = 0) => {
      await service.kill('SIGKILL');
      if (seconds !== 0) {
        const { DATABASE_URL: url, DATA_DIR: dataDir = '' } = environment;
        const database = await openTestDatabase({ url, dataDir });
        await advance({ app: { db: database.db } } as Service, seconds);
        await database.close();
      }
      service = await spawnService(environment);
    };
    const anyone = () => operations(service);

    const { user, tokens } = expectMember(await anyone().createUser({ ...alice, password }), 'CreateUserSuccess');
    const tokenId: string = user.securityTokens[0]!.id;
    const owner = () => operations(service, { token: tokens!.accessToken });
    const [, unused] = /Bootstrap +(\S+)/.exec(await greeting(service)) ?? [];
    await restart();

    assert.equal((await owner().me()).username, 'alice');
    assert.deepEqual((await anyone().createUser(alice)).issues, [
      { field: 'username', code: 'TAKEN' },
      { field: 'email', code: 'TAKEN' },
    ]);
    const [, bootstrapSecret] = /Bootstrap +(\S+)/.exec(await greeting(service)) ?? [];
    assert.notEqual(bootstrapSecret, unused);
    const bootstrap = (given = '') => operations(service, { headers: { 'x-bootstrap-secret': given } });
    const root = { username: 'root', password };
    await assert.rejects(bootstrap(unused).createSuperuser(root), /UNAUTHENTICATED/);
    assert.equal(
      expectMember(await bootstrap(bootstrapSecret).createSuperuser(root), 'CreateSuperuserSuccess').user.isSuperuser,
      true,
    );
    const { id } = (await anyone().securityTokens(alice.email))[0]!;
    assert.equal(id, tokenId, 'the same id from the same key');
    assert.equal((await anyone().sendOneTimePassword(tokenId)).__typename, 'SendOneTimePasswordSuccess');
    // The response comes before the outbox has the message.
    await outbox(service);
    await restart();

    assert.doesNotMatch(await greeting(service), /Bootstrap/, 'there is a superuser');
    const [message, ...others] = await outbox(service);
    assert.deepEqual([message?.to, others], [alice.email, []]);
    const { oneTimePassword } = message!;
    const again = await anyone().sendOneTimePassword(tokenId);
    assert.deepEqual([again.__typename, again.failureCount], ['TimeoutError', null]);
    const wrongPassword = await anyone().authenticate({ username: 'alice', password: 'wrong' });
    assert.equal(wrongPassword.__typename, 'InvalidCredentialsError');
    const wrongOneTimePassword = await anyone().checkOneTimePassword(tokenId, 'WRONG234');
    assert.equal(wrongOneTimePassword.__typename, 'InvalidOneTimePasswordError');
    await restart(-3600);

    for (const tooSoon of [
      await anyone().authenticate({ username: 'ALICE', password }),
      await anyone().checkOneTimePassword(tokenId, oneTimePassword),
    ]) {
      const { failureCount, retryAfterSeconds } = expectMember(tooSoon, 'TimeoutError');
      assert.equal(failureCount, 1);
      assert.ok(retryAfterSeconds > 3400 && retryAfterSeconds <= 3601);
    }
    await restart(3601);

    const signedIn = await anyone().authenticate({ username: 'alice', password });
    assert.equal(signedIn.__typename, 'AuthenticateSuccess');
    await restart();

    const right = await anyone().checkOneTimePassword(tokenId, oneTimePassword);
    assert.equal(right.__typename, 'CheckOneTimePasswordSuccess');
    const prover = () => operations(service, { token: right.tokens!.accessToken });
    await restart();

    const spent = await anyone().checkOneTimePassword(tokenId, oneTimePassword);
    assert.equal(spent.__typename, 'InvalidOneTimePasswordError');
    const me = await prover().me();
    assert.deepEqual([me.emailVerified, me.sessions.length], [true, 1]);
    // The first verification of the address has revoked earlier sessions.
    await assert.rejects(owner().me(), /UNAUTHENTICATED/);
    assert.deepEqual(await prover().signOut(), { signedOut: true });
    await restart();

    await assert.rejects(prover().me(), /UNAUTHENTICATED/);
    assert.deepEqual(await prover().signOut(right.tokens!.refreshToken), { signedOut: false });
    assert.equal(await service.kill('SIGTERM'), 0);
  });
}
