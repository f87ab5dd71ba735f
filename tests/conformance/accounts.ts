/** A common form for accounts of the recording and of the service. */
import assert from 'node:assert/strict';
import { operations } from '../support/client.js';
import type { Service } from '../support/service.js';
import type { SignedUp, SignUpAnswer } from './departures.js';

export interface Recorded {
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
  /** the name of an unexpected exception */
  error?: string;
}

/** Maps messages of the original to error codes. */
export function codeOf(message: string): string {
  if (/^You must supply/.test(message)) return 'IDENTIFIER_REQUIRED';
  if (/may not be blank/.test(message)) return 'BLANK';
  if (/already exists/.test(message)) return 'TAKEN';
  if (/at most 150 characters/.test(message)) return 'TOO_LONG';
  assert.match(message, /valid/);
  return 'INVALID';
}

export function original({ ok, errors }: Recorded): SignUpAnswer {
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
      pendingEmail: null,
      pendingPhone: null,
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

export const accountSelection =
  'user { username email phone pendingEmail pendingPhone hasUsablePassword isStaff isSuperuser securityTokens { __typename id verified } }';

type Token = { __typename: string; id: string; verified: boolean };

/** A user with the fields of {@link accountSelection}. */
export async function accountOf(
  service: Service,
  { securityTokens, ...user }: SignedUp['user'] & { securityTokens: Token[] },
): Promise<SignedUp> {
  const { email, pendingEmail, phone, pendingPhone } = user;
  const tokenOf = async (type: string, addresses: (string | null)[]) => {
    const ofKind = securityTokens.filter(({ __typename }) => __typename === type);
    const ids: string[] = [];
    for (const address of addresses)
      if (address !== null) ids.push(...(await operations(service).securityTokens(address)).map(({ id }) => id));
    assert.deepEqual(
      ofKind.map(({ id }) => id),
      ids,
    );
    return ofKind.length === 0 ? null : { verified: ofKind.some(({ verified }) => verified) };
  };
  const tokens = {
    email: await tokenOf('EmailToken', [email, pendingEmail]),
    phone: await tokenOf('PhoneToken', [phone, pendingPhone]),
  };
  return { user, tokens };
}
