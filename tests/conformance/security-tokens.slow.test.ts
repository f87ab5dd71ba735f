import assert from 'node:assert/strict';
import { before, describe } from 'node:test';
import { send } from '../support/client.js';
import { startService } from '../support/service.js';
import * as departures from './departures.js';
import { readFixtures, replay, signUpFixtures } from './replay.js';

interface Recorded {
  status: number;
  body: Record<'email' | 'phone', { name: string }[]>;
}

const service = await startService();
before(() => signUpFixtures(service));

const document =
  'query ($identifier: String!) { securityTokens(identifier: $identifier) { __typename name verified failureCount retryAt expiresAt } }';

async function lookUp(identifier: string | null): Promise<departures.LookUpAnswer> {
  const { data, errors } = await send(service, document, { identifier });
  if (errors) {
    const [error] = errors;
    if (error?.extensions.code !== 'BAD_USER_INPUT') throw new Error(JSON.stringify(errors));
    return { error: 'BAD_USER_INPUT' };
  }
  const answer = { email: [] as string[], phone: [] as string[] };
  for (const { __typename: type, name, ...inspected } of data.securityTokens) {
    answer[type === 'EmailToken' ? 'email' : 'phone'].push(name);
    // A stranger sees no more than in the original.
    assert.deepEqual(inspected, { verified: null, failureCount: null, retryAt: null, expiresAt: null });
  }
  return answer;
}

describe('securityTokens', () => {
  replay<string | null, Recorded, departures.LookUpAnswer>({
    vectors: 'rest_otp_search',
    amendments: departures.securityTokens(readFixtures()),
    original({ status, body }) {
      assert.equal(status, 200);
      return { email: body.email.map(({ name }) => name), phone: body.phone.map(({ name }) => name) };
    },
    answer: lookUp,
  });
});
