/** Usernames, emails and phones, told apart as they are typed, by the rule of the service. */

export type IdentifierKind = 'username' | 'email' | 'phone';

/** null where nothing can be said yet */
export function kindOf(typed: string): IdentifierKind | null {
  const text = typed.trim().normalize('NFKC');
  if (text === '') return null;
  if (text.includes('@')) return 'email';
  return /^[\p{L}\p{Mn}\p{Mc}\p{Nl}\p{No}]/u.test(text) ? 'username' : 'phone';
}

/** The word that people know somebody by. */
export function nameOf(user: { username?: string | null; email?: string | null; phone?: string | null }): string {
  return user.username ?? user.email ?? user.phone ?? 'somebody';
}
