/** Signing out, in every tab. */
import { print } from 'graphql';
import { SignOutDocument } from '../generated/graphql.js';
import { bearer, leave } from '../session.js';

export async function signOut(): Promise<void> {
  const token = bearer.accessToken();
  try {
    await fetch('/graphql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-session-transport': 'cookie',
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query: print(SignOutDocument) }),
    });
  } finally {
    leave();
  }
}
