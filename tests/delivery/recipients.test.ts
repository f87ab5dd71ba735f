/** The recipients and links of messages, with hostile requests. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, test } from 'node:test';
import { expectMember, issuesOf } from '../support/client.js';
import { caller, insertPerson } from '../support/people.js';
import { contentOf, sendGridEnvironment, startSendGrid } from '../support/sendgrid.js';
import { advance, clear, startService } from '../support/service.js';
import { startVonage, vonageEnvironment } from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();
const service = await startService({
  ...sendGridEnvironment(sendGrid),
  ...vonageEnvironment(vonage),
  PUBLIC_URL: 'https://identity.example.com',
  APP_URL: 'https://app.example.com',
});
const anonymous = caller(service);

beforeEach(async () => {
  await clear(service);
  sendGrid.clear();
  vonage.clear();
});

/** Sends a request with forged headers. */
function sendForged(path: string, token: string, tokenId: string, headers: Record<string, string>): Promise<string> {
  const query =
    'mutation ($tokenId: ID!) { sendOneTimePassword(tokenId: $tokenId, purpose: VERIFICATION) { __typename ... on IdentityError { message } } }';
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    const options = {
      hostname,
      port,
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    };
    request(options, (response) => {
      text(response).then(resolve, reject);
    })
      .on('error', reject)
      .end(JSON.stringify({ query, variables: { tokenId } }));
  });
}

describe('links use APP_URL, with a forged', () => {
  for (const [name, path, headers] of [
    ['Host', '/graphql', { host: 'evil.test' }],
    ['X-Forwarded-Host', '/graphql', { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'http' }],
    ['Forwarded', '/graphql', { forwarded: 'for=192.0.2.1;host=evil.test;proto=http' }],
    ['X-Original-URL', '/graphql', { 'x-original-url': 'https://evil.test/', 'x-rewrite-url': '/evil.test' }],
    ['Origin or Referer', '/graphql', { origin: 'https://evil.test', referer: 'https://evil.test/' }],
    ['absolute URI', 'http://evil.test/graphql', { host: 'evil.test' }],
  ] as const)
    test(name, async () => {
      const owner = await insertPerson(service, { email: 'alice@example.com', phone: '+12025550123' });
      for (const tokenId of [owner.emailToken, owner.phoneToken])
        assert.match(await sendForged(path, owner.tokens.accessToken, tokenId, headers), /SendOneTimePasswordSuccess/);
      const mail = await sendGrid.messageTo('alice@example.com');
      const sms = await vonage.messageTo('12025550123');
      assert.ok(!JSON.stringify([mail.body, sms.body]).includes('evil.test'));
      const links = [...contentOf(mail, 'text/plain').matchAll(/https?:\/\/[^\s/]+/g)];
      const references = [...contentOf(mail, 'text/html').matchAll(/(?:href|src)="([^"]*)"/g)];
      assert.ok(links.length > 0 && references.length > 0);
      for (const [link] of links) assert.equal(link, 'https://app.example.com');
      for (const [, reference] of references) assert.match(reference!, /^https:\/\/app\.example\.com\//);
      assert.match(sms.body.text, /\n@app\.example\.com #\d{6}$/);
    });
});

describe('a lookup with another spelling', () => {
  for (const [stored, typed] of [
    ['Mike@Example.com', 'MIKE@EXAMPLE.COM'],
    ['mike@example.com', 'mIKE@ｅｘａｍｐｌｅ.com'],
    ['mike@fish.example.com', 'Mike@ﬁsh.example.com'],
    ['info@cüre53.example', 'INFO@CÜRE53.example'],
  ] as const)
    test(`${typed} sends to the stored address, byte for byte`, async () => {
      const { user } = expectMember(await anonymous.createUser({ email: stored }), 'CreateUserSuccess');
      const [token] = await anonymous.securityTokens(typed);
      assert.equal(token!.id, user.securityTokens[0]!.id);
      await anonymous.sendOneTimePassword(token!.id);
      await sendGrid.messageTo(user.email!);
      assert.equal(sendGrid.requests.length, 1);
    });

  for (const [stored, typed] of [
    ['mike@example.com', 'mıke@example.com'],
    ['mike@example.com', 'MİKE@example.com'],
    ['mike@example.com', 'ｍｉｋｅ@example.com'],
    ['mike@example.com', 'mike@exаmple.com'],
    ['strasse@example.com', 'straße@example.com'],
    ['info@cure53.example', 'info@cüre53.example'],
    ['info@strasse.example', 'info@straße.example'],
    ['kate@example.com', '\u212aate@example.com'],
    ['sam@example.com', 'ſam@example.com'],
  ] as const)
    test(`${typed}, which looks like ${stored}, sends nothing`, async () => {
      await anonymous.createUser({ email: stored });
      for (const token of await anonymous.securityTokens(typed)) await anonymous.sendOneTimePassword(token.id);
      await service.app.outbox();
      assert.deepEqual(sendGrid.requests, []);
    });

  test('of a number sends to the stored number', async () => {
    await anonymous.createUser({ phone: '+12025550123' });
    for (const typed of ['(202) 555-0123', '１２０２５５５０１２３', '001 202 555 0123']) {
      for (const token of await anonymous.securityTokens(typed)) await anonymous.sendOneTimePassword(token.id);
      await advance(service, 60);
    }
    await service.app.outbox();
    assert.ok(vonage.requests.length > 0);
    for (const { body } of vonage.requests) assert.equal(body.to, '12025550123');
  });
});

/** A row holds several between bars. */
const hostileEmails = [
  '"e@attacker.test"@victim.example.com | "e,attacker"@victim.example.com',
  'alice@victim.example.com,evil@attacker.test | alice@victim.example.com, evil@attacker.test',
  'alice@victim.example.com;evil@attacker.test | evil@attacker.test alice@victim.example.com',
  'Alice <alice@victim.example.com> | <alice@victim.example.com> | alice@victim.example.com<evil@attacker.test>',
  'alice@victim.example.com\r\nBcc: evil@attacker.test',
  'alice\r\nBcc: evil@attacker.test\r\n@victim.example.com | alice@victim.example.com\n',
  'alice@victim.example.com\r | \talice@victim.example.com |  alice@victim.example.com',
  'alice@victim.example.com\u2028evil@attacker.test | alice@victim.example.com\0',
  'alice%0d%0aBcc:evil@attacker.test@victim.example.com | alice@victim.example.com%0a',
  'alice(comment)@victim.example.com | alice@victim.example.com(evil@attacker.test)',
  'alice@attacker.test@victim.example.com | alice@[192.0.2.1]',
  '=?utf-8?q?evil=40attacker.test?=@victim.example.com,',
  `${'a'.repeat(255 - '@victim.example.com'.length)}@victim.example.com`,
  `alice@${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.example`,
].flatMap((row) => row.split(' | '));

describe('an email with a hostile syntax', () => {
  test('is rejected at sign-up, with and without a valid username', async () => {
    for (const email of hostileEmails)
      for (const input of [{ email }, { username: 'alice', email }])
        assert.deepEqual(issuesOf(await anonymous.createUser(input)), ['email INVALID'], email);
  });

  test('is rejected in an update and changes nothing', async () => {
    const owner = await insertPerson(service, { email: 'alice@example.com' });
    for (const email of hostileEmails)
      assert.deepEqual(issuesOf(await owner.updateUser({ email })), ['email INVALID'], email);
    const { email, pendingEmail } = await owner.me();
    assert.deepEqual([email, pendingEmail], ['alice@example.com', null]);
  });

  test('matches no account', async () => {
    await anonymous.createUser({ email: 'alice@victim.example.com' });
    for (const email of hostileEmails) assert.deepEqual(await anonymous.securityTokens(email), [], email);
  });

  test('that is valid, of maximum length or despite special characters, has one recipient', async () => {
    for (const email of [
      `${'a'.repeat(254 - '@victim.example.com'.length)}@victim.example.com`,
      ..."o'hara a{b}c a=?b?=c {{name}} -sub-".split(' ').map((local) => `${local}@example.com`),
    ]) {
      const owner = await insertPerson(service, { email });
      expectMember(await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION'), 'SendOneTimePasswordSuccess');
      assert.deepEqual((await sendGrid.messageTo(email)).body.personalizations, [{ to: [{ email }] }]);
    }
  });
});
