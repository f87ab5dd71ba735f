/** Tells usernames, emails and phones apart as the user types, by the same rule as the service. */

export type IdentifierKind = 'username' | 'email' | 'phone';

/** Returns null if the text is blank. */
export function detectIdentifierKind(typed: string): IdentifierKind | null {
  const text = typed.trim().normalize('NFKC');
  if (text === '') return null;
  if (text.includes('@')) return 'email';
  return /^[\p{L}\p{Mn}\p{Mc}\p{Nl}\p{No}]/u.test(text) ? 'username' : 'phone';
}

/** Returns the first identifier that the user has. */
export function displayName(user: { username?: string | null; email?: string | null; phone?: string | null }): string {
  return user.username ?? user.email ?? user.phone ?? 'Unnamed user';
}
