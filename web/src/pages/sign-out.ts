/** Signing out, in every tab. */
import { print } from 'graphql';
import { useState } from 'react';
import { SignOutDocument, type SignOutMutation } from '../generated/graphql.js';
import { bearer, leave } from '../session.js';

/** Signs out at a click, and knows where the last one has come to nothing. */
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

/** Nobody is taken for signed out before the service has said so: the session would live on in the cookie. */
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
  if (!data?.signOut) throw new Error('the session could not be ended');
  leave();
}
