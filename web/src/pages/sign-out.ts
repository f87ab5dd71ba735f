/** Sign-out in all tabs. */
import { print } from 'graphql';
import { useState } from 'react';
import { SignOutDocument, type SignOutMutation } from '../generated/graphql.js';
import { bearer, clearSession } from '../session.js';

/** Signs out, and tells whether the last attempt failed. */
export function useSignOut(): { failed: boolean; run(onDone?: () => void): void } {
  const [failed, setFailed] = useState(false);
  return {
    failed,
    run(onDone = () => {}) {
      setFailed(false);
      signOut().then(onDone, () => setFailed(true));
    },
  };
}

/** Keeps the session until the service confirms. Otherwise the cookie would stay valid. */
async function signOut(): Promise<void> {
  const token = bearer.accessToken();
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-session-transport': 'cookie',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query: print(SignOutDocument) }),
  });
  const { data } = (await response.json()) as { data?: SignOutMutation | null };
  if (!data?.signOut) throw new Error('the session could not be revoked');
  clearSession();
}
