/** Providers that hang, refuse, break and babble: what the owner is told, what is in the log, and that nobody else notices. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inTens } from '../support/client.js';
import { type Caller, caller, signUp } from '../support/people.js';
import { freePort } from '../support/postgres.js';
import type { Behaviour, StubProvider, StubRequest } from '../support/provider.js';
import {
  contentOf,
  oneTimePasswordInMail,
  type SendGridMail,
  sendGridApiKey,
  sendGridEnvironment,
  sendGridRefusal,
  startSendGrid,
} from '../support/sendgrid.js';
import { createDatabase, type ServiceProcess, sharedSecrets, spawnService, startService } from '../support/service.js';
import {
  oneTimePasswordInSms,
  startVonage,
  type VonageSms,
  vonageAnswer,
  vonageCredentials,
  vonageEnvironment,
} from '../support/vonage.js';

const sendGrid = await startSendGrid();
const vonage = await startVonage();
const environment = {
  ...sharedSecrets(),
  ...sendGridEnvironment(sendGrid),
  ...vonageEnvironment(vonage),
  DATABASE_URL: await createDatabase(),
  APP_URL: 'https://app.example.com',
};
/** In a process of its own, so that its log can be read. */
const service = await spawnService(environment);

const transmissionError = {
  __typename: 'TransmissionError',
  code: 'TRANSMISSION',
  message: 'The message could not be sent. Try again later.',
};
/** Five seconds, and a half for a machine that has other things to do. */
const patienceMilliseconds = 5_500;

interface Fault<Body> {
  name: string;
  behaviour: Behaviour<Body>;
  /** how many requests there are; 1 unless the first was certainly not taken */
  tries?: number;
  /** what the log says */
  log: RegExp;
}

/** Waited for to the end, so all at once. */
const silences = (['hang', 'drip', 'hang-in-refusal'] as const).map((behaviour) => ({
  name: behaviour,
  behaviour,
  log: /^no answer in time$/,
}));
const breaks = (['reset', 'close', 'garbage'] as const).map((behaviour) => ({
  name: behaviour,
  behaviour,
  log: /^(SendGrid|Vonage): (ECONNRESET|ERR_|HPE_)/,
}));

const emailFaults: Fault<SendGridMail>[] = [
  ...breaks,
  {
    name: '401',
    behaviour: sendGridRefusal(401, 'The provided authorization grant is invalid, expired, or revoked'),
    log: /^SendGrid: 401, "The provided authorization grant is invalid/,
  },
  {
    name: '400 of a field',
    behaviour: sendGridRefusal(400, 'The from address does not match a verified Sender Identity.', 'from'),
    log: /^SendGrid: 400, "from: The from address does not match/,
  },
  {
    name: '400 that quotes the address',
    behaviour: ({ personalizations: [first] }) => sendGridRefusal(400, `${first!.to[0]!.email} is on a block list`),
    log: /^SendGrid: 400, in words that repeat the message$/,
  },
  {
    name: '400 that quotes the message',
    behaviour: (body) => sendGridRefusal(400, `not sent: ${contentOf({ body }, 'text/plain')}`),
    log: /^SendGrid: 400, in words that repeat the message$/,
  },
  {
    name: '429 again and again',
    behaviour: sendGridRefusal(429, 'too many requests here', null, { 'retry-after': '1' }),
    tries: 3,
    log: /^SendGrid: 429, "too many requests here"$/,
  },
  { name: '500', behaviour: sendGridRefusal(500, 'trouble within'), log: /^SendGrid: 500, "trouble within"$/ },
  {
    name: '503 with Retry-After',
    behaviour: sendGridRefusal(503, 'down for a moment', null, { 'retry-after': '1' }),
    log: /^SendGrid: 503, "down for a moment"$/,
  },
  { name: '502 in HTML', behaviour: { status: 502, body: '<html>Bad Gateway</html>' }, log: /^SendGrid: 502$/ },
  { name: '200 of something else', behaviour: { status: 200, body: '<html>Welcome!' }, log: /^SendGrid: 200$/ },
  {
    name: '307 to elsewhere',
    behaviour: { status: 307, headers: { location: '/v3/mail/send' } },
    log: /^SendGrid: 307$/,
  },
];

const smsFaults: Fault<VonageSms>[] = [
  ...breaks,
  { name: 'status 4', behaviour: ({ to }) => vonageAnswer(to, ['4']), log: /^Vonage: status 4, "Bad Credentials"$/ },
  { name: 'status 5', behaviour: ({ to }) => vonageAnswer(to, ['5']), log: /^Vonage: status 5, "Internal Error"$/ },
  { name: 'status 6', behaviour: ({ to }) => vonageAnswer(to, ['6']), log: /^Vonage: status 6, "Unroutable message/ },
  {
    name: 'one of two parts',
    behaviour: ({ to }) => vonageAnswer(to, ['0', '6']),
    log: /^Vonage: status 0, 6, "Unrou/,
  },
  {
    name: 'throttled again and again',
    behaviour: ({ to }) => vonageAnswer(to, ['1']),
    tries: 3,
    log: /^Vonage: status 1, "Throughput Rate Exceeded/,
  },
  {
    name: '429 again and again',
    behaviour: { status: 429, headers: { 'retry-after': '1' }, body: { title: 'Throttled for now' } },
    tries: 3,
    log: /^Vonage: 429, ".*Throttled for now/,
  },
  { name: '401', behaviour: { status: 401, body: { title: 'Unauthorized' } }, log: /^Vonage: 401, ".*Unauthorized/ },
  {
    name: '400 that quotes the message',
    behaviour: ({ to, text }) => ({ status: 400, body: { detail: `${to}: ${text}` } }),
    log: /^Vonage: 400, in words that repeat the message$/,
  },
  { name: '500', behaviour: { status: 500, body: 'trouble within' }, log: /^Vonage: 500, "trouble within"$/ },
  {
    name: 'half of the JSON',
    behaviour: { status: 200, body: '{"message-count":' },
    log: /^Vonage answered no message$/,
  },
  {
    name: 'no message',
    behaviour: { status: 200, body: { 'message-count': '0', messages: [] } },
    log: /^Vonage answered/,
  },
];

/** What the log says of the messages of a channel that were not accepted. */
function reasons({ output }: ServiceProcess, channel: 'email' | 'sms'): string[] {
  return output()
    .split('\n')
    .filter((line) => line.includes('a message was not accepted'))
    .map((line) => JSON.parse(line))
    .filter((entry) => entry.channel === channel)
    .map(({ err }) => err.message);
}

/** Waits for the log, which comes another way than the answer. */
async function logged(channel: 'email' | 'sms', expected: RegExp): Promise<void> {
  const isThere = () => reasons(service, channel).some((reason) => expected.test(reason));
  for (const deadline = performance.now() + 2_000; !isThere() && performance.now() < deadline; ) await delay(10);
  assert.ok(isThere(), `${expected} is not in\n${reasons(service, channel).join('\n')}`);
}

/** What the owners' one-time passwords went to, and what they were. */
const secrets: string[] = [];

interface Channel<Body> {
  channel: 'email' | 'sms';
  provider: StubProvider<Body>;
  /** an address that nobody has yet, as it is given and as the provider knows it */
  nextAddress(): { input: Record<string, string>; to: string };
  oneTimePasswordIn(request: StubRequest<Body>): string;
}

function testFaults<Body>({ channel, provider, nextAddress, oneTimePasswordIn }: Channel<Body>, faults: Fault<Body>[]) {
  for (const { name, behaviour, tries = 1, log } of faults)
    test(`${channel}, ${name}`, async () => {
      const { input, to } = nextAddress();
      provider.behave(to, behaviour);
      const owner = await signUp(service, input);
      const token = owner.emailToken ?? owner.phoneToken;
      const start = performance.now();
      const sent = await owner.sendOneTimePassword(token, 'VERIFICATION');
      const milliseconds = performance.now() - start;
      assert.deepEqual(sent, transmissionError);
      assert.ok(milliseconds < patienceMilliseconds, `${milliseconds} ms`);

      const requests = provider.requestsFor(to);
      assert.equal(requests.length, tries);
      await logged(channel, log);
      const oneTimePassword = oneTimePasswordIn(requests[0]!);
      secrets.push(to, oneTimePassword);
      const checked = await owner.checkOneTimePassword(token, oneTimePassword, 'VERIFICATION');
      assert.equal(checked.__typename, 'InvalidOneTimePasswordError');

      provider.behave(to, 'accept');
      const again = await owner.sendOneTimePassword(token, 'VERIFICATION');
      assert.equal(again.__typename, 'SendOneTimePasswordSuccess');
      assert.notEqual(oneTimePasswordIn(provider.requestsFor(to).at(-1)!), oneTimePassword);
    });
}

let addresses = 0;
function nextIndex(): number {
  addresses += 1;
  return addresses;
}

const email: Channel<SendGridMail> = {
  channel: 'email',
  provider: sendGrid,
  nextAddress() {
    const to = `owner-${nextIndex()}@fault.example.com`;
    return { input: { email: to }, to };
  },
  oneTimePasswordIn: oneTimePasswordInMail,
};

const sms: Channel<VonageSms> = {
  channel: 'sms',
  provider: vonage,
  nextAddress() {
    // Each of a prefix of its own, so that the limit of a prefix has no say.
    const to = `1202${200 + nextIndex()}0123`;
    return { input: { phone: `+${to}` }, to };
  },
  oneTimePasswordIn: oneTimePasswordInSms,
};

const consequences =
  'the owner is told within five seconds, the one-time password is void, and the next may be asked for at once:';

describe(`where the provider refuses or breaks, ${consequences}`, () => {
  testFaults(email, emailFaults);
  testFaults(sms, smsFaults);
});

describe(`where the provider is silent, ${consequences}`, { concurrency: true }, () => {
  testFaults(email, silences);
  testFaults(sms, silences);
});

test('the log says once why, and holds neither address nor one-time password', () => {
  const [emails, texts] = [emailFaults.length + silences.length, smsFaults.length + silences.length];
  assert.deepEqual([reasons(service, 'email').length, reasons(service, 'sms').length], [emails, texts]);
  assert.equal(secrets.length, 2 * (emails + texts));
  // Not as a part of a longer number: of an instant, for example.
  for (const secret of secrets) assert.doesNotMatch(service.output(), new RegExp(`(?<!\\d)${secret}(?!\\d)`, 'i'));
  for (const { apiKey } of [{ apiKey: sendGridApiKey }, { apiKey: vonageCredentials.apiSecret }])
    assert.ok(!service.output().includes(apiKey));
});

test('a provider that speaks no TLS where it should gets nothing', async () => {
  sendGrid.clear();
  vonage.clear();
  const secure = ({ url }: { url: string }) => url.replace('http:', 'https:');
  const other = await spawnService({
    ...environment,
    SENDGRID_BASE_URL: secure(sendGrid),
    VONAGE_BASE_URL: secure(vonage),
  });
  const owner = await signUp(other, { email: 'tls@example.com', phone: '+12025550199' });
  for (const token of [owner.emailToken, owner.phoneToken])
    assert.deepEqual(await owner.sendOneTimePassword(token, 'VERIFICATION'), transmissionError);
  assert.match(reasons(other, 'email').join(), /^SendGrid: (EPROTO|ERR_SSL|ECONNRESET)/);
  assert.match(reasons(other, 'sms').join(), /^Vonage: (EPROTO|ERR_SSL|ECONNRESET)/);
  assert.deepEqual([...sendGrid.requests, ...vonage.requests], []);
});

test('a provider that cannot be reached is tried again, for nothing can have been taken', async () => {
  const [emailPort, smsPort] = [await freePort(), await freePort()];
  const other = await spawnService({
    ...environment,
    SENDGRID_BASE_URL: `http://127.0.0.1:${emailPort}`,
    VONAGE_BASE_URL: `http://127.0.0.1:${smsPort}`,
  });
  const input = { email: 'unreachable@example.com', phone: '+12125550123' };
  const owner = await signUp(other, input);
  const both = [owner.emailToken, owner.phoneToken];
  for (const token of both) assert.deepEqual(await owner.sendOneTimePassword(token, 'VERIFICATION'), transmissionError);
  assert.deepEqual([...reasons(other, 'email'), ...reasons(other, 'sms')], ['ECONNREFUSED', 'ECONNREFUSED']);

  const sending = both.map((token) => owner.sendOneTimePassword(token, 'VERIFICATION'));
  await delay(300);
  const [lateSendGrid, lateVonage] = [await startSendGrid(emailPort), await startVonage(smsPort)];
  for (const sent of await Promise.all(sending)) assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
  await lateSendGrid.messageTo(input.email);
  await lateVonage.messageTo(input.phone.slice(1));
});

describe('to a stranger', () => {
  test('a provider that hangs makes no difference: the answer is there at once', async () => {
    const anonymous = caller(service);
    sendGrid.behave('stranger@example.com', 'hang');
    vonage.behave('12135550123', 'hang');
    await anonymous.createUser({ email: 'stranger@example.com', phone: '+12135550123' });
    for (const identifier of ['stranger@example.com', '+12135550123', 'nobody@example.com', '+12135550124']) {
      const [token] = await anonymous.securityTokens(identifier);
      const start = performance.now();
      const sent = await anonymous.sendOneTimePassword(token.id);
      assert.equal(sent.__typename, 'SendOneTimePasswordSuccess');
      assert.ok(performance.now() - start < 1_000);
    }
    await sendGrid.messageTo('stranger@example.com');
    await vonage.messageTo('12135550123');
  });

  test('nothing is given back when the message is not accepted', async () => {
    const inside = await startService({ ...environment });
    const anonymous = caller(inside);
    sendGrid.behave('refused@example.com', sendGridRefusal(400, 'no'));
    await anonymous.createUser({ email: 'refused@example.com' });
    const [token] = await anonymous.securityTokens('refused@example.com');
    assert.equal((await anonymous.sendOneTimePassword(token.id)).__typename, 'SendOneTimePasswordSuccess');
    // Waits for what goes on in the background.
    await inside.app.outbox();
    assert.equal(sendGrid.requestsFor('refused@example.com').length, 1);
    const next = await anonymous.sendOneTimePassword(token.id);
    assert.equal(next.__typename, 'TimeoutError');
    assert.equal(next.failureCount, null);
  });

  test('a message that is not accepted is logged once', async () => {
    const anonymous = caller(service);
    sendGrid.behave('once@example.com', sendGridRefusal(400, 'told once'));
    await anonymous.createUser({ email: 'once@example.com' });
    const [token] = await anonymous.securityTokens('once@example.com');
    const before = service.output().length;
    await anonymous.sendOneTimePassword(token.id);
    await logged('email', /told once/);
    await delay(100);
    const lines = service.output().slice(before).trim().split('\n');
    assert.equal(lines.length, 1, lines.join('\n'));
  });
});

test('a provider that hangs ties up a bounded number of sockets, and nothing else', async () => {
  const hanging = await startSendGrid();
  const crowded = await spawnService({ ...environment, ...sendGridEnvironment(hanging) });
  const anonymous = caller(crowded);
  const lookUp = async (email: string) => (await anonymous.securityTokens(email))[0].id;
  const crowd = Array.from({ length: 200 }, (_, index) => `crowd-${index}@example.com`);
  await inTens(crowd, (email) => anonymous.createUser({ email }));
  const tokens = await inTens(crowd, lookUp);
  const others = await inTens(
    Array.from({ length: 200 }, (_, index) => `nobody-${index}@example.com`),
    lookUp,
  );
  const owner = await signUp(crowded, { email: 'patient@example.com' });
  const atRest = await percentile(owner, anonymous, others.slice(100));

  hanging.behaveElse('hang');
  const sent = await inTens(tokens, (token) => anonymous.sendOneTimePassword(token));
  for (const answer of sent) assert.equal(answer.__typename, 'SendOneTimePasswordSuccess');
  const meanwhile = await percentile(owner, anonymous, others.slice(0, 100));
  const { greatest } = hanging.connections;
  // Fifty, and those that the service has given up and the provider has not yet seen closed.
  assert.ok(greatest >= 10 && greatest <= 60, `${greatest} connections`);
  // Coarse: if a message under way held a connection of the database, they would wait until it is given up.
  assert.ok(meanwhile < Math.max(10 * atRest, 1_000), `${meanwhile} ms beside ${atRest} ms`);

  // Whoever comes now waits for a turn and is not refused.
  hanging.behaveElse('accept');
  const answered = await owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION');
  assert.equal(answered.__typename, 'SendOneTimePasswordSuccess');
});

test('owners who wait for a provider that hangs keep nobody else out, however small the pool', async () => {
  const hanging = await startSendGrid();
  const small = await spawnService({ ...environment, ...sendGridEnvironment(hanging), DATABASE_POOL_SIZE: '2' });
  // Twenty requests at once for each connection are let in.
  const owners = await inTens(
    Array.from({ length: 45 }, (_, index) => `owner-${index}@example.com`),
    (email) => signUp(small, { email }),
  );
  const other = await signUp(small, { username: 'other' });
  hanging.behaveElse('hang');
  const sent: ReturnType<Caller['sendOneTimePassword']>[] = [];
  for (const owner of owners) {
    sent.push(owner.sendOneTimePassword(owner.emailToken, 'VERIFICATION'));
    while (hanging.connections.greatest < sent.length) await delay(5);
  }
  assert.equal((await other.me()).username, 'other');
  for (const { __typename } of await Promise.all(sent)) assert.equal(__typename, 'TransmissionError');
});

/** The 99th percentile of what others ask for, in milliseconds: `me`, and checks of one-time passwords; for two seconds at most. */
async function percentile(owner: Caller, anonymous: Caller, tokens: string[]): Promise<number> {
  const milliseconds: number[] = [];
  const time = async (work: () => Promise<unknown>) => {
    const start = performance.now();
    await work();
    milliseconds.push(performance.now() - start);
  };
  const start = performance.now();
  for (const token of tokens) {
    if (performance.now() - start > 2_000) break;
    await Promise.all([time(owner.me), time(() => anonymous.checkOneTimePassword(token, 'BCDF2345'))]);
  }
  return milliseconds.sort((a, b) => a - b)[Math.ceil(milliseconds.length * 0.99) - 1]!;
}
