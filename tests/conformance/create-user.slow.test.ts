import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { operations, send } from '../support/client.js';
import { clear, startService } from '../support/service.js';
import { accountOf, accountSelection, original, type Recorded } from './accounts.js';
import { createUser, isUsername, type SignUp, type SignUpAnswer } from './departures.js';
import { issuesOf, replay } from './replay.js';

const service = await startService();
const anonymous = operations(service);

/** The users as JSON; undefined if other users may exist. */
let present: string | undefined;

async function signUpExisting(existing: NonNullable<SignUp['existing']>): Promise<void> {
  if (present === JSON.stringify(existing)) return;
  await clear(service);
  for (const user of existing) {
    const made = await anonymous.createUser({ ...user });
    const isTaken = user.username == null || isUsername(user.username);
    assert.equal(made.__typename, isTaken ? 'CreateUserSuccess' : 'ValidationError', JSON.stringify(user));
  }
  present = JSON.stringify(existing);
}

const document = `mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename
  ... on CreateUserSuccess { ${accountSelection} }
  ... on ValidationError { issues { field code } }
  ... on IdentityError { code } } }`;

async function signUp({ args, existing = [] }: SignUp): Promise<SignUpAnswer> {
  await signUpExisting(existing);
  const { data, errors } = await send(service, document, { input: args });
  if (errors) {
    assert.equal(errors[0]?.extensions.code, 'BAD_USER_INPUT', JSON.stringify(errors));
    return { error: 'BAD_USER_INPUT' };
  }
  const { __typename: type, user, issues } = data.createUser;
  if (type === 'ValidationError') {
    return issuesOf(issues);
  }
  assert.equal(type, 'CreateUserSuccess');
  // An error changes no user, and the next vector relies on that. A success adds a user.
  present = undefined;
  return accountOf(service, user);
}

describe('createUser', () => {
  replay<SignUp, Recorded, SignUpAnswer>({ vectors: 'create_user', amendments: createUser, original, answer: signUp });
});
