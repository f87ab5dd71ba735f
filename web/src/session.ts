/** Who is signed in: the access token in memory, the refresh token in a cookie that no script reads, and word among the tabs. */
import { print } from 'graphql';
import { useSyncExternalStore } from 'react';
import { RefreshSessionDocument, type RefreshSessionMutation } from './generated/graphql.js';
import { oneRefresh } from './refresh-link.js';

/** `away`: the service could not be reached at the start, so that nobody knows. */
export type Session = { status: 'starting' | 'away' | 'out' } | { status: 'in'; user: Who; accessToken: string };

/** What the frame of a page needs before anything is asked, so that nothing moves when the answer comes. */
interface Who {
  id: string;
  isStaff: boolean;
  isSuperuser: boolean;
}

interface SignedIn {
  user: Who;
  tokens: { accessToken: string };
}

let current: Session = { status: 'starting' };
const listeners = new Set<() => void>();
const tabs = new BroadcastChannel('flex-identity');

function become(next: Session): void {
  current = next;
  for (const listener of listeners) listener();
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** What a sign-up, a sign-in or a reset has answered. */
export function enter({ user, tokens }: SignedIn): void {
  become({ status: 'in', user, accessToken: tokens.accessToken });
  tabs.postMessage('signed in');
}

/** The session is over, whoever ended it. */
export function leave(): void {
  if (current.status === 'out') return;
  become({ status: 'out' });
  tabs.postMessage('signed out');
}

tabs.onmessage = ({ data }) => {
  if (data === 'signed out') become({ status: 'out' });
  else bearer.refresh(accessToken()).catch(() => {});
};

function accessToken(): string | null {
  return current.status === 'in' ? current.accessToken : null;
}

export const bearer = oneRefresh(accessToken, refresh);

/** Finds out at the start whether the browser is signed in. To be asked again where the service was away. */
export async function start(): Promise<void> {
  try {
    await bearer.refresh(null);
  } catch {
    if (current.status !== 'in') become({ status: 'away' });
  }
}

/** One tab at a time: each needs an access token of its own, and the refresh token of the cookie is good once. */
async function refresh(): Promise<boolean> {
  const { locks } = navigator;
  return locks === undefined ? refreshNow() : locks.request('flex-identity refresh', refreshNow);
}

async function refreshNow(): Promise<boolean> {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-session-transport': 'cookie' },
    body: JSON.stringify({ query: print(RefreshSessionDocument) }),
  });
  const { data } = (await response.json()) as { data?: RefreshSessionMutation | null };
  const result = data?.refreshSession;
  // 403: at this origin nobody is signed in by the cookie, and the page says so when somebody tries.
  const unlisted = response.status === 403 && current.status !== 'in';
  if (result === undefined && !unlisted) throw new Error('the session could not be refreshed');
  if (result?.__typename === 'RefreshSessionSuccess') {
    become({ status: 'in', user: result.user, accessToken: result.tokens.accessToken });
    return true;
  }
  if (current.status === 'in') leave();
  else become({ status: 'out' });
  return false;
}
