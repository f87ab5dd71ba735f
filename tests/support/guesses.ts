/** A client makes one attempt at each of many security tokens. Only the limit by client applies. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { inTens } from './client.js';
import { caller, idOfAddress, insertPerson, issueOneTimePassword } from './people.js';
import { advance, clear, createDatabase, sharedSecrets, startService } from './service.js';

/**
 * Registers the tests of the attempt limit of one client.
 * @param limit permitted attempts per hour
 * @param setting value of `FAILED_ATTEMPTS_PER_HOUR`, or empty for the default
 */
export async function testGuesses(limit: number, setting: string): Promise<void> {
  // Other tests disable the limit, because they share a client. Each test here has its own client.
  const environment = {
    FAILED_ATTEMPTS_PER_HOUR: setting,
    TRUST_PROXY: '127.0.0.1',
    DATABASE_URL: await createDatabase(),
    ...sharedSecrets(),
  };
  const service = await startService(environment);
  const replica = await startService(environment);

  beforeEach(() => clear(service));

  const from = (address: string, of = service) => caller(of, { headers: { 'x-forwarded-for': address } });

  /** Returns security token IDs of addresses without an account. */
  const tokenIds = Array.from({ length: limit + Math.ceil(limit / 4) }, (_, index) =>
    idOfAddress(service, `nobody-${index}@example.com`),
  );

  const newPassword = 'another horse battery';
  type Client = ReturnType<typeof from>;
  type Guess = Awaited<ReturnType<Client['checkOneTimePassword'] | Client['resetPassword']>>;
  const guesses: Record<string, (tokenId: string, client: Client) => Promise<Guess>> = {
    checkOneTimePassword: (tokenId, client) => client.checkOneTimePassword(tokenId, 'BCDF2345'),
    'checkOneTimePassword for a reset': (tokenId, client) =>
      client.checkOneTimePassword(tokenId, 'BCDF2345', 'PASSWORD_RESET'),
    resetPassword: (tokenId, client) => client.resetPassword({ tokenId, oneTimePassword: 'BCDF2345', newPassword }),
    'either in turn': (tokenId, client) =>
      tokenIds.indexOf(tokenId) % 2 === 0
        ? client.checkOneTimePassword(tokenId, 'BCDF2345')
        : client.resetPassword({ tokenId, oneTimePassword: 'BCDF2345', newPassword }),
  };

  describe('one guess at each of many security tokens', () => {
    for (const [name, guess] of Object.entries(guesses))
      test(`by ${name} is stopped after at most ${limit}`, async () => {
        const client = from('203.0.113.1');
        const answers: Guess[] = await inTens(tokenIds, (tokenId) => guess(tokenId, client));
        const evaluated = answers.filter(({ __typename }) => __typename === 'InvalidOneTimePasswordError');
        const stopped = answers.filter(({ __typename }) => __typename === 'TimeoutError');
        assert.equal(evaluated.length + stopped.length, answers.length);
        assert.ok(evaluated.length >= 10, `${evaluated.length}: people mistype`);
        assert.ok(evaluated.length <= limit, `${evaluated.length} were evaluated`);
        assert.ok(stopped.every(({ failureCount }) => failureCount === null));
        assert.ok(stopped.every(({ retryAfterSeconds }) => retryAfterSeconds! > 0));
      });

    test('is counted by all processes together, and by the /64 of an IPv6 address', async () => {
      const answers = await inTens([...tokenIds.entries()], ([index, tokenId]) =>
        from(`2001:db8:0:1::${index.toString(16)}`, index % 2 === 0 ? service : replica).checkOneTimePassword(
          tokenId,
          'BCDF2345',
        ),
      );
      const evaluated = answers.filter(({ __typename }) => __typename === 'InvalidOneTimePasswordError');
      assert.ok(evaluated.length <= limit, `${evaluated.length} were evaluated`);
    });

    test('blocks the right one-time password, too, only for that client and only for the time limit', async () => {
      const client = from('203.0.113.1');
      const alice = await insertPerson(service, { email: 'alice@example.com' });
      const oneTimePassword = await issueOneTimePassword(service, alice.emailToken, 'AUTHENTICATION');
      await inTens(tokenIds, (tokenId) => client.checkOneTimePassword(tokenId, 'BCDF2345'));
      const stopped = await client.checkOneTimePassword(alice.emailToken, oneTimePassword);
      assert.equal(stopped.__typename, 'TimeoutError');
      const checked = await from('198.51.100.1').checkOneTimePassword(alice.emailToken, oneTimePassword);
      assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess', 'what was stopped has spent and counted nothing');
      await advance(service, stopped.retryAfterSeconds);
      const later = await client.checkOneTimePassword(tokenIds[0]!, 'BCDF2345');
      assert.equal(later.__typename, 'InvalidOneTimePasswordError');
    });
  });
}
