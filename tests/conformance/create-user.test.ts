import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { operations, send } from '../support/client.js';
import { clear, startService } from '../support/service.js';
import { createUser, isUsername, type SignedUp, type SignUp, type SignUpAnswer } from './departures.js';
import { issuesOf, replay } from './replay.js';

interface Recorded {
  ok?: {
    username: string | null;
    email: string | null;
    phone: string | null;
    usable_password: boolean;
    is_staff: boolean;
    is_superuser: boolean;
    email_token: { email: string; verified: boolean } | null;
    phone_token: { phone: string; verified: boolean } | null;
  };
  errors?: Record<string, string[]>;
  /** the name of an exception that is no answer */
  error?: string;
}

const service = await startService();
const anonymous = operations(service);

/** The original says in words what is a code here. */
function codeOf(message: string): string {
  if (/^You must supply/.test(message)) return 'IDENTIFIER_REQUIRED';
  if (/may not be blank/.test(message)) return 'BLANK';
  if (/already exists/.test(message)) return 'TAKEN';
  if (/at most 150 characters/.test(message)) return 'TOO_LONG';
  assert.match(message, /valid/);
  return 'INVALID';
}

function original({ ok, errors }: Recorded): SignUpAnswer {
  if (errors)
    return {
      issues: Object.fromEntries(Object.entries(errors).map(([field, messages]) => [field, messages.map(codeOf)])),
    };
  if (!ok) return { error: 'BAD_USER_INPUT' };
  const { usable_password, is_staff, is_superuser, email_token, phone_token } = ok;
  return {
    user: {
      username: ok.username,
      email: ok.email,
      phone: ok.phone,
      hasUsablePassword: usable_password,
      isStaff: is_staff,
      isSuperuser: is_superuser,
    },
    tokens: {
      email: email_token && { verified: email_token.verified },
      phone: phone_token && { verified: phone_token.verified },
    },
  };
}

/** Who is there, as JSON; undefined where somebody else may be. */
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
  ... on CreateUserSuccess { user { username email phone hasUsablePassword isStaff isSuperuser securityTokens { __typename id verified } } }
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
  // A refusal leaves everybody as they were, which the next vector relies on; a success adds somebody.
  present = undefined;
  const { securityTokens, ...facts } = user;
  return {
    user: facts,
    tokens: {
      email: await tokenOf(securityTokens, 'EmailToken', user.email),
      phone: await tokenOf(securityTokens, 'PhoneToken', user.phone),
    },
  };
}

/** The token of that kind, which must be that of the address. */
async function tokenOf(
  tokens: { __typename: string; id: string; verified: boolean }[],
  type: 'EmailToken' | 'PhoneToken',
  address: string | null,
): Promise<SignedUp['tokens']['email']> {
  const ofKind = tokens.filter(({ __typename }) => __typename === type);
  const ofAddress = address === null ? [] : await anonymous.securityTokens(address);
  assert.deepEqual(
    ofKind.map(({ id }) => id),
    ofAddress.map(({ id }: { id: string }) => id),
  );
  return ofKind[0] ? { verified: ofKind[0].verified } : null;
}

describe('createUser', () => {
  replay<SignUp, Recorded, SignUpAnswer>({ vectors: 'create_user', amendments: createUser, original, answer: signUp });
});
