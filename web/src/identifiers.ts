/** Tells usernames, emails and phones apart as the user types, by the same rule as the service. */

import type { AccountFragment, AddressFragment } from './generated/graphql.js';

export type IdentifierKind = 'username' | 'email' | 'phone';

export const identifierLabels: Record<IdentifierKind, string> = {
  username: 'Username',
  email: 'Email',
  phone: 'Phone',
};

/** Returns null if the text is blank. */
export function detectIdentifierKind(typed: string): IdentifierKind | null {
  const text = typed.trim().normalize('NFKC');
  if (text === '') return null;
  if (text.includes('@')) return 'email';
  return /^[\p{L}\p{Mn}\p{Mc}\p{Nl}\p{No}]/u.test(text) ? 'username' : 'phone';
}

/** An email or a phone of an account. */
export interface Address {
  kind: 'email' | 'phone';
  value: string;
  /** Other accounts cannot take a reserved address. A verified pending address replaces it. */
  state: 'verified' | 'reserved' | 'pending';
  token: AddressFragment;
}

/** Returns email before phone, and a current address before the pending one of its kind. */
export function listAddresses(user: AccountFragment): Address[] {
  const { email, emailVerified, pendingEmail, phone, phoneVerified, pendingPhone } = user;
  const found = [
    { kind: 'email', value: email, state: emailVerified ? 'verified' : 'reserved' },
    { kind: 'email', value: pendingEmail, state: 'pending' },
    { kind: 'phone', value: phone, state: phoneVerified ? 'verified' : 'reserved' },
    { kind: 'phone', value: pendingPhone, state: 'pending' },
  ] as const;
  return found
    .filter(({ value }) => typeof value === 'string')
    .flatMap(({ value, ...rest }, index) => {
      // Invariant: the service returns the tokens in the same order.
      const token = user.securityTokens[index];
      return value && token ? [{ value, token, ...rest }] : [];
    });
}

export function findPending(user: AccountFragment, kind: IdentifierKind): Address | undefined {
  return listAddresses(user).find((address) => address.kind === kind && address.state === 'pending');
}

/** Returns the first identifier that the user has. */
export function displayName(user: Partial<Pick<AccountFragment, 'username' | (typeof addressFields)[number]>>): string {
  const address = addressFields.map((field) => user[field]).find((value) => typeof value === 'string');
  return user.username ?? address ?? 'Unnamed user';
}

const addressFields = ['email', 'phone', 'pendingEmail', 'pendingPhone'] as const;
