/** A service with failing providers, and the effects on the owner of an address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { signUp } from './people.js';
import type { Behaviour, StubProvider, StubRequest } from './provider.js';
import {
  contentOf,
  oneTimePasswordInMail,
  type SendGridMail,
  sendGridApiKey,
  sendGridEnvironment,
  sendGridRefusal,
  startSendGrid,
} from './sendgrid.js';
import { createDatabase, type LoggedService, sharedSecrets, startService } from './service.js';
import {
  oneTimePasswordInSms,
  startVonage,
  type VonageSms,
  vonageAnswer,
  vonageCredentials,
  vonageEnvironment,
} from './vonage.js';

export const transmissionError = {
  __typename: 'TransmissionError',
  code: 'TRANSMISSION',
  message: 'The message could not be sent. Try again later.',
};
export interface Fault<Body> {
  name: string;
  behaviour: Behaviour<Body>;
  /** the number of requests; 1 unless the first was certainly not accepted */
  tries?: number;
  /** the log entry */
  log: RegExp;
}

/** These wait for a timeout, so they run concurrently. */
export const silences = (['hang', 'drip', 'hang-in-refusal'] as const).map((behaviour) => ({
  name: behaviour,
  behaviour,
  log: /^no response in time$/,
}));
const breaks = (['reset', 'close', 'garbage'] as const).map((behaviour) => ({
  name: behaviour,
  behaviour,
  log: /^(SendGrid|Vonage): (ECONNRESET|ERR_|HPE_)/,
}));

export const emailFaults: Fault<SendGridMail>[] = [
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
    log: /^SendGrid: 400, provider message omitted$/,
  },
  {
    name: '400 that quotes the message',
    behaviour: (body) => sendGridRefusal(400, `not sent: ${contentOf({ body }, 'text/plain')}`),
    log: /^SendGrid: 400, provider message omitted$/,
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

export const smsFaults: Fault<VonageSms>[] = [
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
    log: /^Vonage: 400, provider message omitted$/,
  },
  { name: '500', behaviour: { status: 500, body: 'trouble within' }, log: /^Vonage: 500, "trouble within"$/ },
  {
    name: 'half of the JSON',
    behaviour: { status: 200, body: '{"message-count":' },
    log: /^Vonage returned no message status$/,
  },
  {
    name: 'no message',
    behaviour: { status: 200, body: { 'message-count': '0', messages: [] } },
    log: /^Vonage returned/,
  },
];

/** Returns the log entries of rejected messages of a channel. */
function reasons({ output }: LoggedService, channel: 'email' | 'sms'): string[] {
  return output()
    .split('\n')
    .filter((line) => line.includes('message not accepted'))
    .map((line) => JSON.parse(line))
    .filter((entry) => entry.channel === channel)
    .map(({ err }) => err.message);
}

/** Waits for `count` reasons in the log of both channels, because the log arrives later. */
export async function reasonsOfBoth(service: LoggedService, count: number): Promise<string[]> {
  const both = () => [...reasons(service, 'email'), ...reasons(service, 'sms')];
  for (const deadline = performance.now() + 5_000; both().length < count; await delay(10))
    assert.ok(performance.now() < deadline, `${both().length} of ${count} reasons are in the log`);
  return both();
}

interface Channel<Body> {
  channel: 'email' | 'sms';
  provider: StubProvider<Body>;
  /** an address without an account, as entered and as sent to the provider */
  nextAddress(): { input: Record<string, string>; to: string };
  oneTimePasswordIn(request: StubRequest<Body>): string;
}

/** Starts both providers, and a service whose log can be read. */
export async function startFaulty() {
  const sendGrid = await startSendGrid();
  const vonage = await startVonage();
  const environment = {
    ...sharedSecrets(),
    ...sendGridEnvironment(sendGrid),
    ...vonageEnvironment(vonage),
    DATABASE_URL: await createDatabase(),
    APP_URL: 'https://app.example.com',
    LOG_LEVEL: 'warn',
  };
  const service = await startService(environment);

  /** Waits for the log, which arrives separately from the response. */
  async function logged(channel: 'email' | 'sms', expected: RegExp): Promise<void> {
    const isThere = () => reasons(service, channel).some((reason) => expected.test(reason));
    for (const deadline = performance.now() + 2_000; !isThere() && performance.now() < deadline; ) await delay(10);
    assert.ok(isThere(), `${expected} is not in\n${reasons(service, channel).join('\n')}`);
  }

  /** The recipients of one-time passwords and the passwords. */
  const secrets: string[] = [];
  const tested = { email: 0, sms: 0 };

  function testFaults<Body>(
    { channel, provider, nextAddress, oneTimePasswordIn }: Channel<Body>,
    faults: Fault<Body>[],
  ) {
    tested[channel] += faults.length;
    for (const { name, behaviour, tries = 1, log } of faults)
      test(`${channel}, ${name}`, async () => {
        const { input, to } = nextAddress();
        provider.behave(to, behaviour);
        const owner = await signUp(service, input);
        const token = owner.emailToken || owner.phoneToken;
        const sent = await owner.sendOneTimePassword(token, 'VERIFICATION');
        assert.deepEqual(sent, transmissionError);

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
      // Each has its own prefix, so the prefix limit does not apply.
      const to = `1202${200 + nextIndex()}0123`;
      return { input: { phone: `+${to}` }, to };
    },
    oneTimePasswordIn: oneTimePasswordInSms,
  };

  /** Call it after the fault tests. */
  function assertLog(): void {
    assert.deepEqual([reasons(service, 'email').length, reasons(service, 'sms').length], [tested.email, tested.sms]);
    assert.equal(secrets.length, 2 * (tested.email + tested.sms));
    // Not as part of a longer number, such as a time.
    for (const secret of secrets) assert.doesNotMatch(service.output(), new RegExp(`(?<!\\d)${secret}(?!\\d)`, 'i'));
    for (const { apiKey } of [{ apiKey: sendGridApiKey }, { apiKey: vonageCredentials.apiSecret }])
      assert.ok(!service.output().includes(apiKey));
  }

  return {
    sendGrid,
    vonage,
    environment,
    service,
    logged,
    testEmail: (faults: Fault<SendGridMail>[]) => testFaults(email, faults),
    testSms: (faults: Fault<VonageSms>[]) => testFaults(sms, faults),
    assertLog,
  };
}
