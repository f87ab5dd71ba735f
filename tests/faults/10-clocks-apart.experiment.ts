/** Fault 10: two replicas with clocks 90 s apart. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { expectMember, operations } from '../support/client.js';
import { experiment } from '../support/experiment.js';
import { connect } from '../support/replicas.js';
import { createDatabase, type ServiceProcess, sharedSecrets, spawnService } from '../support/service.js';

const password = 'correct horse battery';
const users = 12;

experiment(10, 'replicas with clocks 90 s apart', ['faketime'], async (found) => {
  const DATABASE_URL = await createDatabase();
  const secrets = sharedSecrets();
  const environment = { ...secrets, DATABASE_URL, ACCESS_TOKEN_TTL_SECONDS: '10', OTP_TTL_SECONDS: '60' };
  // One clock is 45 s slow and the other 45 s fast, so both differ from the database.
  const late = await spawnService(environment, { under: ['faketime', '-f', '-45s'] });
  const early = await spawnService(environment, { under: ['faketime', '-f', '+45s'] });
  const apart = Math.round((await clockOf(early)) - (await clockOf(late)));
  const { advance } = await connect(DATABASE_URL);
  const root = { username: 'root', password };
  await operations(late, { headers: { 'x-bootstrap-secret': secrets.BOOTSTRAP_SECRET! } }).createSuperuser(root);

  const differences: string[] = [];
  let probes = 0;
  let wrongYes = 0;
  const issued: { accessToken: string; number: number }[] = [];
  const probe = (what: string, answer: unknown, expected: unknown) => {
    probes += 1;
    if (JSON.stringify(answer) === JSON.stringify(expected)) return;
    differences.push(`${what}: ${JSON.stringify(answer)} instead of ${JSON.stringify(expected)}`);
    if (/Success|true/.test(JSON.stringify(answer))) wrongYes += 1;
  };
  const isSignedIn = (service: ServiceProcess, token: string) =>
    operations(service, { token })
      .me()
      .then(
        (me) => me !== null,
        (error) => {
          if (!/UNAUTHENTICATED/.test(error.message)) throw error;
          return false;
        },
      );
  for (let number = 0; number < users; number += 1) {
    // Sends the secrets of one replica to the other, in both directions.
    const [maker, asked] = number % 2 === 0 ? [late, early] : [early, late];
    const both = [maker, asked] as const;
    const type = async (answer: Promise<{ __typename: string }>) => (await answer).__typename;
    const generate = async () => {
      const { tokens } = expectMember(await operations(maker).authenticate(root), 'AuthenticateSuccess');
      const { oneTimePassword } = await operations(maker, { token: tokens.accessToken }).generateOneTimePassword(
        tokenId,
      );
      return oneTimePassword as string;
    };
    const username = `user${number}`;
    const { user, tokens } = expectMember(
      await operations(maker).createUser({
        username,
        email: `${username}@example.com`,
        password,
      }),
      'CreateUserSuccess',
    );
    const tokenId: string = user.securityTokens[0]!.id;

    // Both replicas accept an access token immediately, although it has expired by one clock.
    for (const service of both) probe('a new access token', await isSignedIn(service, tokens!.accessToken), true);
    issued.push({ accessToken: tokens!.accessToken, number });

    // A wrong password rate-limits both replicas for the same time.
    probe('wrong', await type(operations(maker).authenticate({ username, password: 'x' })), 'InvalidCredentialsError');
    for (const service of both)
      probe('too soon', await type(operations(service).authenticate({ username, password })), 'TimeoutError');
    await advance(1.5);
    probe('after the wait', await type(operations(asked).authenticate({ username, password })), 'AuthenticateSuccess');

    // A wrong one-time password, too. The right password has the same lifetime on both.
    const first = await generate();
    probe(
      'wrong',
      await type(operations(maker).checkOneTimePassword(tokenId, 'WRONG234')),
      'InvalidOneTimePasswordError',
    );
    for (const service of both)
      probe('too soon', await type(operations(service).checkOneTimePassword(tokenId, first)), 'TimeoutError');
    await advance(1.5);
    const right = expectMember(
      await operations(asked).checkOneTimePassword(tokenId, first),
      'CheckOneTimePasswordSuccess',
    );
    probe('right', right.__typename, 'CheckOneTimePasswordSuccess');
    probe('spent', await type(operations(maker).checkOneTimePassword(tokenId, first)), 'InvalidOneTimePasswordError');
    await advance(1.5);
    const second = await generate();
    await advance(50);
    probe(
      'still live',
      await type(operations(asked).checkOneTimePassword(tokenId, second)),
      'CheckOneTimePasswordSuccess',
    );
    const third = await generate();
    await advance(61);
    probe('expired', await type(operations(asked).checkOneTimePassword(tokenId, third)), 'InvalidOneTimePasswordError');

    // A refresh token is used up on both. Both repeat the lost response for ten seconds.
    const spent = right.tokens!.refreshToken;
    const refreshed = expectMember(await operations(maker).refreshSession(spent), 'RefreshSessionSuccess');
    const again = await operations(asked).refreshSession(spent);
    probe('the same successor', again.tokens?.refreshToken === refreshed.tokens.refreshToken, true);
    await advance(11);
    probe('a copy', await type(operations(asked).refreshSession(spent)), 'InvalidSessionError');
    probe('its session', await isSignedIn(maker, refreshed.tokens.accessToken), false);

    // Responses contain times of the database.
    const times = [];
    for (const service of both) {
      const askedAt = Date.now();
      const { tokens } = expectMember(await operations(service).authenticate(root), 'AuthenticateSuccess');
      times.push(Math.round((Date.parse(tokens.accessTokenExpiresAt) - askedAt - 10_000) / 5_000));
    }
    probe('when they expire', times, [0, 0]);
  }
  // Waits in real time, because the access token contains its expiry.
  await delay(10_000);
  for (const { accessToken, number } of issued)
    for (const service of [late, early])
      probe(`an old access token of user${number}`, await isSignedIn(service, accessToken), false);
  found({
    acknowledged: probes,
    lost: 0,
    wrongYes,
    recoveredAfterMilliseconds: [],
    also: { differences: differences.length, 'seconds apart': apart },
  });
  assert.deepEqual(differences, []);
  assert.ok(Math.abs(apart - 90) <= 1, `${apart} s apart`);
  assert.ok(probes >= 200, `${probes}`);
});

/** Reads the clock of a process in seconds from the Date header of Node. */
async function clockOf({ url }: ServiceProcess): Promise<number> {
  const { headers } = await fetch(`${url}/healthz`);
  return Date.parse(headers.get('date')!) / 1000;
}
