/** Concurrent sends against the limits over two processes, and the messages at the providers. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { expectMember, type RequestOptions } from '../support/client.js';
import { caller, idOfAddress, insertPeople, signUp } from '../support/people.js';
import type { StubProvider, StubRequest } from '../support/provider.js';
import { oneTimePasswordInMail, sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { advance, clear, createDatabase, sharedSecrets, spawnService, startService } from '../support/service.js';
import { oneTimePasswordInSms, startVonage, vonageEnvironment } from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();
const environment = {
  ...sharedSecrets(),
  ...sendGridEnvironment(sendGrid),
  ...vonageEnvironment(vonage),
  DATABASE_URL: await createDatabase(),
  // One connection per concurrent request, so requests do not wait for connections.
  DATABASE_POOL_SIZE: '30',
  LOG_LEVEL: 'silent',
};
/** One of the two, in this process. It also shifts time, and gets the sequential requests. */
const inside = await startService(environment);
const processes = [inside, await spawnService(environment)] as const;
const anonymous = caller(inside);

beforeEach(async () => {
  await clear(inside);
  sendGrid.clear();
  vonage.clear();
});

interface Sent {
  __typename: string;
  failureCount?: number | null | undefined;
  retryAfterSeconds?: number | undefined;
}

/** Sends requests to both processes alternately and concurrently. */
function atOnce(
  tokenIds: string[],
  options: RequestOptions = {},
  purpose: 'AUTHENTICATION' | 'VERIFICATION' | 'PASSWORD_RESET' = 'AUTHENTICATION',
  services = processes,
): Promise<Sent[]> {
  const both = services.map((service) => caller(service, options));
  return Promise.all(tokenIds.map((tokenId, index) => both[index % 2]!.sendOneTimePassword(tokenId, purpose)));
}

function count(answers: Sent[], name: string): number {
  return answers.filter(({ __typename }) => __typename === name).length;
}

/** Waits for the expected messages and a pause, because strangers' messages follow the response. */
async function arrivals<Body>({ requests }: StubProvider<Body>, expected: number): Promise<StubRequest<Body>[]> {
  for (const deadline = performance.now() + 10_000; requests.length < expected; await delay(20))
    assert.ok(performance.now() < deadline, `${requests.length} of ${expected} messages have come`);
  for (let before = -1; before < requests.length; await delay(300)) before = requests.length;
  return requests;
}

describe('50 concurrent sends for one token', () => {
  test('by strangers are one message, and 49 responses with the time of the next permitted send', async () => {
    const { user } = expectMember(await anonymous.createUser({ email: 'alice@example.com' }), 'CreateUserSuccess');
    const { id } = user.securityTokens[0]!;
    const answers = await atOnce(Array(50).fill(id));
    assert.equal(count(answers, 'SendOneTimePasswordSuccess'), 1);
    const refused = answers.filter(({ __typename }) => __typename === 'TimeoutError');
    assert.equal(refused.length, 49);
    for (const { failureCount, retryAfterSeconds } of refused) {
      assert.equal(failureCount, null);
      assert.ok(retryAfterSeconds! >= 1 && retryAfterSeconds! <= 30);
    }
    const [message, ...others] = await arrivals(sendGrid, 1);
    assert.deepEqual(others, []);
    const checked = await anonymous.checkOneTimePassword(id, oneTimePasswordInMail(message!));
    assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
  });

  test('by its owner are one message', async () => {
    const owner = await signUp(inside, { phone: '+12025550123' });
    const answers = await atOnce(Array(50).fill(owner.phoneToken), { token: owner.tokens.accessToken }, 'VERIFICATION');
    assert.deepEqual([count(answers, 'SendOneTimePasswordSuccess'), count(answers, 'TimeoutError')], [1, 49]);
    const [message, ...others] = await arrivals(vonage, 1);
    assert.deepEqual(others, []);
    const checked = await owner.checkOneTimePassword(owner.phoneToken, oneTimePasswordInSms(message!), 'VERIFICATION');
    assert.equal(checked.__typename, 'CheckOneTimePasswordSuccess');
  });

  test('for several purposes are one message', async () => {
    const { user } = expectMember(await anonymous.createUser({ email: 'alice@example.com' }), 'CreateUserSuccess');
    const { id } = user.securityTokens[0]!;
    const answers = await Promise.all([
      atOnce(Array(25).fill(id), {}, 'AUTHENTICATION'),
      atOnce(Array(25).fill(id), {}, 'PASSWORD_RESET'),
    ]);
    assert.equal(count(answers.flat(), 'SendOneTimePasswordSuccess'), 1);
    assert.equal((await arrivals(sendGrid, 1)).length, 1);
  });

  test('by strangers do not block its owner', async () => {
    const owner = await signUp(inside, { email: 'alice@example.com' });
    await atOnce(Array(50).fill(owner.emailToken));
    const sent = await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    assert.equal((await arrivals(sendGrid, 2)).length, 2);
  });

  test('without an account get the same responses, and no message', async () => {
    const answers = await atOnce(Array(50).fill(idOfAddress(inside, 'nobody@example.com')));
    assert.deepEqual([count(answers, 'SendOneTimePasswordSuccess'), count(answers, 'TimeoutError')], [1, 49]);
    assert.deepEqual(await arrivals(sendGrid, 0), []);
  });
});

test('1000 sends to one number are 5 messages in an hour and 10 in a day', async () => {
  const { user } = expectMember(await anonymous.createUser({ phone: '+12025550123' }), 'CreateUserSuccess');
  const { id } = user.securityTokens[0]!;
  const sentInHours: number[] = [];
  for (let hour = 0; hour < 4; hour += 1) {
    let sent = 0;
    for (let burst = 0; burst < 8; burst += 1) {
      sent += count(await atOnce(Array(32).fill(id)), 'SendOneTimePasswordSuccess');
      await advance(inside, 31);
    }
    sentInHours.push(sent);
    await advance(inside, 3_600 - 8 * 31);
  }
  assert.deepEqual(sentInHours, [5, 5, 0, 0]);
  assert.equal((await arrivals(vonage, 10)).length, 10);
  await advance(inside, 86_400);
  assert.equal(count(await atOnce(Array(32).fill(id)), 'SendOneTimePasswordSuccess'), 1);
  assert.equal((await arrivals(vonage, 11)).length, 11);
});

describe('numbers of one prefix', () => {
  const numbers = (prefix: string, howMany: number) =>
    Array.from({ length: howMany }, (_, index) => `${prefix}${String(index).padStart(4, '0')}`);

  test('get 20 messages in an hour for any number of requests, without an error for strangers', async () => {
    const own = [await startService(environment), await spawnService(environment)] as const;
    const owners = await insertPeople(
      inside,
      numbers('+1202555', 200).map((phone) => ({ phone })),
    );
    const tokens = owners.map(({ phoneToken }) => phoneToken);
    for (const expected of [20, 40]) {
      if (expected > 20) await advance(inside, 3_601);
      for (let first = 0; first < tokens.length; first += 50) {
        const answers = await atOnce(tokens.slice(first, first + 50), {}, 'AUTHENTICATION', own);
        assert.equal(count(answers, 'SendOneTimePasswordSuccess'), 50);
      }
      assert.equal((await arrivals(vonage, expected)).length, expected);
    }
    // The count stops after the background work.
    await own[0].stop();
    assert.equal(await own[1].kill('SIGTERM'), 0);
    assert.equal(vonage.requests.length, 40);
  });

  test('without an account do not count', async () => {
    const unknown = numbers('+1212555', 30).map((phone) => idOfAddress(inside, phone));
    assert.equal(count(await atOnce(unknown), 'SendOneTimePasswordSuccess'), 30);
    const owner = await signUp(inside, { phone: '+12125559999' });
    const sent = await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    assert.equal((await arrivals(vonage, 1)).length, 1);
  });

  test('with other prefixes are not limited, and limited owners learn when to retry', async () => {
    const owners = await insertPeople(
      inside,
      numbers('+1213555', 21).map((phone) => ({ phone })),
    );
    const answers: Sent[] = [];
    for (const owner of owners) answers.push(await owner.sendOneTimePassword(owner.phoneToken, 'VERIFICATION'));
    const [last] = answers.slice(20);
    assert.equal(count(answers.slice(0, 20), 'SendOneTimePasswordSuccess'), 20);
    assert.equal(last!.__typename, 'TimeoutError');
    assert.equal(last!.failureCount, null);
    assert.ok(last!.retryAfterSeconds! > 3_500 && last!.retryAfterSeconds! <= 3_600);

    const other = await signUp(inside, { phone: '+12145550123' });
    const sent = await other.sendOneTimePassword(other.phoneToken, 'VERIFICATION');
    assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
    // A send that the prefix limit rejected does not count for the token, so it succeeds an hour
    // later.
    await advance(inside, 3_600);
    const again = await owners[20]!.sendOneTimePassword(owners[20]!.phoneToken, 'VERIFICATION');
    assert.equal(again.__typename, 'SendOneTimePasswordSuccess');
    assert.equal((await arrivals(vonage, 22)).length, 22);
  });
});

test('one client gets SENDS_PER_HOUR sends for any addresses and processes', async () => {
  const limited = await Promise.all([
    startService({ ...environment, SENDS_PER_HOUR: '20' }),
    spawnService({ ...environment, SENDS_PER_HOUR: '20' }),
  ]);
  const emails = Array.from({ length: 60 }, (_, index) => `someone-${index}@example.com`);
  // Every second address has an account, which does not affect the count.
  await insertPeople(
    inside,
    emails.filter((_, index) => index % 2 === 0).map((email) => ({ email })),
  );
  const tokens = emails.map((email) => idOfAddress(inside, email));
  const answers = await atOnce(tokens, {}, 'AUTHENTICATION', limited);
  assert.deepEqual([count(answers, 'SendOneTimePasswordSuccess'), count(answers, 'TimeoutError')], [20, 40]);
  assert.ok((await arrivals(sendGrid, 1)).length <= 20);
});

test('a failed send of one process is refunded for the other', async () => {
  const owner = await signUp(inside, { email: 'alice@example.com' });
  sendGrid.behave('alice@example.com', { status: 500 }, 'accept');
  const [first, second] = processes.map((service) => caller(service, { token: owner.tokens.accessToken }));
  assert.equal((await first!.sendOneTimePassword(owner.emailToken, 'VERIFICATION')).__typename, 'TransmissionError');
  const sent = await second!.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
});
