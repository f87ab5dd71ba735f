/** The rules that front ends build their forms from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { caller } from '../support/people.js';
import { startService } from '../support/service.js';

const document = `{ policy {
  passwordMinLength passwordMaxLength resendIntervalSeconds defaultRegion smsDialCodes
  emailOneTimePassword { length alphabet lifetimeSeconds }
  phoneOneTimePassword { length alphabet lifetimeSeconds }
} }`;

test('policy returns the rules of the service to any client', async () => {
  const { data } = await caller(await startService()).ask(document);
  assert.deepEqual(data.policy, {
    passwordMinLength: 8,
    passwordMaxLength: 256,
    emailOneTimePassword: { length: 8, alphabet: 'BCDFGHJKLMNPQRSTVWXZ23456789', lifetimeSeconds: 600 },
    phoneOneTimePassword: { length: 6, alphabet: '0123456789', lifetimeSeconds: 600 },
    resendIntervalSeconds: 30,
    defaultRegion: 'US',
    smsDialCodes: null,
  });
});

test('policy and the rules follow the configuration', async () => {
  const service = await startService({
    PASSWORD_MIN_LENGTH: '12',
    OTP_TTL_SECONDS: '120',
    EMAIL_OTP_LENGTH: '10',
    EMAIL_OTP_ALPHABET: 'abcdefgh',
    PHONE_OTP_LENGTH: '7',
    OTP_SEND_INTERVAL_SECONDS: '5',
    DEFAULT_REGION: 'GB',
    SMS_CALLING_CODES: '44,49',
  });
  const anonymous = caller(service);
  const { data } = await anonymous.ask(document);
  assert.deepEqual(data.policy, {
    passwordMinLength: 12,
    passwordMaxLength: 256,
    emailOneTimePassword: { length: 10, alphabet: 'ABCDEFGH', lifetimeSeconds: 120 },
    phoneOneTimePassword: { length: 7, alphabet: '0123456789', lifetimeSeconds: 120 },
    resendIntervalSeconds: 5,
    defaultRegion: 'GB',
    smsDialCodes: ['44', '49'],
  });
  const { issues } = await anonymous.createUser({ username: 'alice', password: 'Zp7#vK2!qw9' });
  assert.deepEqual(issues, [{ field: 'password', code: 'TOO_SHORT' }]);
});
