import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { operations, send } from '../support/client.js';
import { signUp } from '../support/people.js';
import { clear, startService } from '../support/service.js';
import { accountOf, accountSelection, original, type Recorded } from './accounts.js';
import { type SignUpAnswer, type Update, updateUser } from './departures.js';
import { issuesOf, replay } from './replay.js';

const service = await startService();

const document = `mutation ($input: UpdateUserInput!) { updateUser(input: $input) { __typename
  ... on UpdateUserSuccess { ${accountSelection} }
  ... on ValidationError { issues { field code } }
  ... on IdentityError { code } } }`;

async function update({ user, existing, set }: Update): Promise<SignUpAnswer> {
  await clear(service);
  for (const other of existing)
    assert.equal((await operations(service).createUser({ ...other })).__typename, 'CreateUserSuccess');
  const { tokens, me } = await signUp(service, { ...user });
  const before = await me();
  const { data, errors } = await send(service, document, { input: set }, { token: tokens.accessToken });
  assert.equal(errors, undefined, JSON.stringify(errors));
  const { __typename: type, user: changed, issues } = data.updateUser;
  if (type === 'ValidationError') {
    assert.deepEqual(await me(), before, 'an error changes nothing');
    return issuesOf(issues);
  }
  assert.equal(type, 'UpdateUserSuccess');
  return accountOf(service, changed);
}

describe('updateUser', () => {
  replay<Update, Recorded, SignUpAnswer>({
    vectors: 'update_user',
    amendments: updateUser,
    original,
    answer: update,
  });
});
