/** The outbox of a running service. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { sql } from 'drizzle-orm';
import { outbox } from '../support/client.js';
import { caller } from '../support/people.js';
import { clear, sharedSecrets, startService } from '../support/service.js';

const service = await startService();
const anonymous = caller(service);

beforeEach(() => clear(service));

async function sendTo(input: { email?: string; phone?: string }): Promise<void> {
  await anonymous.createUser(input);
  const [token] = await anonymous.securityTokens((input.email ?? input.phone)!);
  assert.equal((await anonymous.sendOneTimePassword(token!.id)).__typename, 'SendOneTimePasswordSuccess');
}

test('the outbox returns messages as JSON, newest first', async () => {
  await sendTo({ email: 'Alice@Example.com' });
  await sendTo({ phone: '(202) 555-0123' });
  const [newest, oldest, ...others] = await outbox(service);
  assert.deepEqual(others, []);
  assert.deepEqual(Object.keys(newest!).sort(), ['channel', 'oneTimePassword', 'sentAt', 'subject', 'text', 'to']);
  assert.deepEqual([newest!.channel, newest!.to, newest!.subject], ['sms', '+12025550123', null]);
  assert.deepEqual([oldest!.channel, oldest!.to], ['email', 'Alice@example.com']);
  assert.match(newest!.oneTimePassword, /^\d{6}$/);
  assert.match(oldest!.oneTimePassword, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{8}$/);
  assert.match(newest!.sentAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  for (const { text, oneTimePassword } of [newest!, oldest!]) assert.ok(text.includes(oneTimePassword));
});

test('the outbox is a page that escapes all messages', async () => {
  await sendTo({ email: "o'hara&co@example.com" });
  const response = await fetch(`${service.url}/dev/outbox`, { headers: { accept: 'text/html' } });
  assert.match(response.headers.get('content-type')!, /^text\/html/);
  assert.match(response.headers.get('content-security-policy')!, /default-src 'none'/);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  const page = await response.text();
  const [message] = await outbox(service);
  assert.ok(page.includes(message!.oneTimePassword));
  assert.ok(page.includes('o&#39;hara&amp;co@example.com'));
  assert.ok(!page.includes("o'hara&co"));
});

test('the database stores no message in clear', async () => {
  await sendTo({ email: 'alice@example.com' });
  const [message] = await outbox(service);
  const { rows } = (await service.app.db.execute(sql`select o::text as row from outbox_messages o
    union all select p::text from one_time_passwords p`)) as unknown as { rows: { row: string }[] };
  assert.equal(rows.length, 2);
  for (const { row } of rows)
    for (const form of ['utf8', 'hex', 'base64'] as const)
      assert.ok(!row.includes(Buffer.from(message!.oneTimePassword).toString(form)), row);
});

test('production serves no outbox page', async () => {
  const production = await startService({
    NODE_ENV: 'production',
    BCRYPT_COST: '10',
    DELIVERY_OUTBOX: 'true',
    ...sharedSecrets(),
  });
  for (const accept of ['application/json', 'text/html'])
    assert.equal((await fetch(`${production.url}/dev/outbox`, { headers: { accept } })).status, 404);
});
