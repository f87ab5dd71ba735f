import { before, describe } from 'node:test';
import { sql } from 'drizzle-orm';
import { send } from '../support/client.js';
import { startService } from '../support/service.js';
import * as departures from './departures.js';
import { issuesOf, readFixtures, replay, signUpFixtures } from './replay.js';

interface Recorded {
  ok?: { user: string | null };
  /** the name of the exception without an identifier */
  error?: 'ValueError';
}

const service = await startService();
let labels: Map<string, string>;
before(async () => {
  labels = await signUpFixtures(service);
});

const document = `mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename
  ... on AuthenticateSuccess { user { id } }
  ... on ValidationError { issues { field code } }
  ... on IdentityError { code } } }`;

async function signIn(input: departures.SignIn): Promise<departures.SignInAnswer> {
  // Each vector was recorded alone, so failures of the previous vector must not count.
  await service.app.db.execute(sql`delete from sign_in_throttles`);
  const { data, errors } = await send(service, document, { input });
  if (errors) {
    const [error] = errors;
    if (error?.extensions.code !== 'BAD_USER_INPUT') throw new Error(JSON.stringify(errors));
    return { error: 'BAD_USER_INPUT' };
  }
  const { __typename: type, user, issues } = data.authenticate;
  switch (type) {
    case 'AuthenticateSuccess':
      return { user: labels.get(user.id) ?? 'somebody else' };
    case 'InvalidCredentialsError':
      return { user: null };
    case 'ValidationError':
      return issuesOf(issues);
    default:
      throw new Error(JSON.stringify(data));
  }
}

describe('authenticate', () => {
  replay<departures.SignIn, Recorded, departures.SignInAnswer>({
    vectors: 'authenticate',
    amendments: departures.authenticate(readFixtures()),
    original: ({ ok }) => ok ?? { issues: { __all__: ['IDENTIFIER_REQUIRED'] } },
    answer: signIn,
  });
});
