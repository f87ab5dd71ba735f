/**
 * A client cannot escape its limits with many addresses, and a name has one counter in every
 * spelling.
 */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { caller, idOfAddress, insertPerson, password, signIn } from '../support/people.js';
import { clear, type Service, startService } from '../support/service.js';

const limits = { SIGN_UPS_PER_HOUR: '5', LOOK_UPS_PER_MINUTE: '5', SENDS_PER_HOUR: '5' };
const service = await startService(limits);
const proxied = await startService({ ...limits, TRUST_PROXY: '127.0.0.1' });

beforeEach(async () => {
  await clear(service);
  await clear(proxied);
});

const headersOf: Record<string, (address: string) => Record<string, string>> = {
  'X-Forwarded-For': (address) => ({ 'x-forwarded-for': address }),
  'X-Forwarded-For with many': (address) => ({ 'x-forwarded-for': `${address}, 198.51.100.1, ${address}` }),
  Forwarded: (address) => ({ forwarded: `for=${address};proto=https` }),
  'X-Real-IP and the like': (address) => ({
    'x-real-ip': address,
    'x-client-ip': address,
    'x-originating-ip': address,
    'x-remote-addr': address,
    'x-cluster-client-ip': address,
    'true-client-ip': address,
    'cf-connecting-ip': address,
    'fastly-client-ip': address,
    'x-azure-clientip': address,
  }),
  'User-Agent, Origin and cookies': (address) => ({ 'user-agent': address, cookie: `client=${address}`, via: address }),
};

const attempts = 8;

/**
 * Limited operations of each kind by the n-th client.
 * @returns whether the request was permitted
 */
const limited: Record<string, (of: Service, index: number, headers: Record<string, string>) => Promise<boolean>> = {
  createUser: async (of, index, headers) => {
    const { __typename } = await caller(of, { headers }).createUser({ username: `somebody-${index}` });
    return __typename === 'CreateUserSuccess';
  },
  securityTokens: async (of, index, headers) => {
    const { errors } = await caller(of, { headers }).ask(
      `{ securityTokens(identifier: "a${index}@example.com") { id } }`,
    );
    return errors?.[0]?.extensions.code !== 'TIMEOUT';
  },
  sendOneTimePassword: async (of, index, headers) => {
    const { __typename } = await caller(of, { headers }).sendOneTimePassword(idOfAddress(of, `b${index}@example.com`));
    return __typename === 'SendOneTimePasswordSuccess';
  },
};

for (const [operation, ask] of Object.entries(limited))
  describe(`${operation} is limited by client, who cannot change its identity`, () => {
    const through = async (of: Service, headers: (index: number) => Record<string, string>) => {
      let passed = 0;
      for (let index = 0; index < attempts; index += 1) if (await ask(of, index, headers(index))) passed += 1;
      return passed;
    };

    for (const [name, headers] of Object.entries(headersOf))
      test(`by a rotating ${name}`, async () => {
        assert.equal(await through(service, (index) => headers(`203.0.113.${index}`)), 5);
      });

    test('with a forged address before that of a trusted proxy', async () => {
      const forged = (index: number) => ({ 'x-forwarded-for': `203.0.113.${index}, 10.0.0.${index}, 198.51.100.7` });
      assert.equal(await through(proxied, forged), 5);
    });

    test('with another address of its IPv6 network', async () => {
      const rotating = (index: number) => ({ 'x-forwarded-for': `2001:db8:1:2:${index}::${index}` });
      assert.equal(await through(proxied, rotating), 5);
    });

    test('with another spelling of its address', async () => {
      const notations = [
        '198.51.100.7',
        '::ffff:198.51.100.7',
        '::ffff:c633:6407',
        '[::ffff:198.51.100.7]:443',
        '198.51.100.7:80',
      ];
      assert.equal(await through(proxied, (index) => ({ 'x-forwarded-for': notations[index % notations.length]! })), 5);
    });

    test('without limiting other clients', async () => {
      assert.equal(await through(proxied, (index) => ({ 'x-forwarded-for': `198.51.100.${index}` })), attempts);
    });
  });

describe('wrong attempts have one counter', () => {
  /** Extends the waits beyond the duration of the attempts of a test. */
  const prolongWaits = () =>
    service.app.db.execute(sql`with prolonged as (update sign_in_throttles set retry_at = retry_at + interval '1 hour')
      update one_time_passwords set retry_at = retry_at + interval '1 hour'`);

  const rotating = (index: number) => caller(service, { headers: headersOf['X-Forwarded-For']!(`203.0.113.${index}`) });

  test('for a one-time password, with any headers and spelling', async () => {
    const { emailToken } = await insertPerson(service, { email: 'alice@example.com' });
    const guesses = ['BCDF2345', 'bcdf2345', 'BCDF-2345', ' b c d f 2 3 4 5 ', 'ＢＣＤＦ2345', ''];
    for (const [index, guess] of guesses.entries()) {
      const { __typename } = await rotating(index).checkOneTimePassword(emailToken, guess);
      assert.equal(__typename, index === 0 ? 'InvalidOneTimePasswordError' : 'TimeoutError', guess);
      if (index === 0) await prolongWaits();
    }
  });

  test('for a security token, whose ID has one spelling', async () => {
    const { emailToken } = await insertPerson(service, { email: 'alice@example.com' });
    const spellings = [
      emailToken.toUpperCase(),
      ` ${emailToken}`,
      `${emailToken} `,
      `${emailToken}\n`,
      `${emailToken}\0`,
      `${emailToken}=`,
      emailToken.replaceAll('-', '+'),
      emailToken.replaceAll('_', '/'),
      encodeURIComponent(emailToken).replace(/^./, '%65'),
    ].filter((spelling) => spelling !== emailToken);
    const document =
      'mutation ($tokenId: ID!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: "BCDF2345") { __typename } }';
    for (const tokenId of spellings) {
      const { errors } = await caller(service).ask(document, { tokenId });
      assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT', JSON.stringify(tokenId));
    }
  });

  test('for a password, with any headers and spelling of name and password', async () => {
    const alice = { username: 'Alice', email: 'alice@example.com', phone: '+12025550123' };
    await insertPerson(service, { ...alice, hasPassword: true });
    const spellings: Record<string, string[]> = {
      username: ['alice', 'ALICE', 'ａｌｉｃｅ', 'aLiCe'],
      email: ['alice@example.com', 'ALICE@EXAMPLE.COM', 'Alice@example.com', 'alice@ｅｘａｍｐｌｅ.com'],
      phone: ['+12025550123', '(202) 555-0123', '2025550123', '+1 202 555 0123', '202.555.0123'],
    };
    for (const [field, texts] of Object.entries(spellings))
      for (const name of [field, 'identifier'])
        for (const [index, text] of texts.entries()) {
          const answer = await rotating(index).authenticate({ [name]: text, password: `wrong ${index}` });
          const first = name === field && index === 0;
          assert.equal(answer.__typename, first ? 'InvalidCredentialsError' : 'TimeoutError', `${name}: ${text}`);
          if (first) await prolongWaits();
        }
  });

  test('for a name with surrounding spaces, which is another, unknown name', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    for (const username of [' alice', 'alice ', 'alice\u00a0', '\talice', 'alice\u200b', 'ali\u00adce', 'alice\0']) {
      const { __typename } = await caller(service).authenticate({ username, password });
      assert.equal(__typename, 'InvalidCredentialsError', JSON.stringify(username));
    }
  });

  test('for the current password of a signed-in user, with any headers and sessions', async () => {
    await insertPerson(service, { username: 'alice', hasPassword: true });
    const opened = [];
    for (let session = 0; session < 4; session += 1)
      opened.push(await signIn(service, { username: 'alice', password }));
    for (const [index, { tokens }] of opened.entries()) {
      const headers = headersOf['X-Forwarded-For']!(`203.0.113.${index}`);
      const { __typename } = await caller(service, { token: tokens.accessToken, headers }).changePassword({
        currentPassword: `wrong ${index}`,
        newPassword: 'another horse battery',
      });
      assert.equal(__typename, index === 0 ? 'InvalidCredentialsError' : 'TimeoutError');
      if (index === 0) await prolongWaits();
    }
  });

  test('with any other content of the request', async () => {
    const { emailToken } = await insertPerson(service, { email: 'alice@example.com' });
    const query =
      'mutation ($tokenId: ID!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: "BCDF2345") { __typename ... on IdentityError { code } } }';
    const extra: Record<string, unknown>[] = [
      {},
      { ip: '203.0.113.1', clientIp: '203.0.113.2' },
      { operationName: null, extensions: { ip: '203.0.113.3' } },
      { id: 'x', key: 'y' },
    ];
    for (const [index, more] of extra.entries()) {
      const response = await fetch(`${service.url}/graphql?ip=203.0.113.${index}&x=${index}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables: { tokenId: emailToken, ip: 'x', [`x${index}`]: 1 }, ...more }),
      });
      const { data } = (await response.json()) as { data: { checkOneTimePassword: { code: string } } };
      assert.equal(data.checkOneTimePassword.code, index === 0 ? 'INVALID_ONE_TIME_PASSWORD' : 'TIMEOUT');
      if (index === 0) await prolongWaits();
    }
  });
});
