/**
 * The session of the browser. The access token is in memory.
 * The refresh token is in a cookie that scripts cannot read. Tabs tell each other of changes.
 */
import { print } from 'graphql';
import { useSyncExternalStore } from 'react';
import { RefreshSessionDocument, type RefreshSessionMutation } from './generated/graphql.js';
import { singleFlightRefresh } from './refresh-link.js';

/** `unreachable`: the service did not respond, so it is unknown whether a user is signed in. */
export type Session =
  | { status: 'starting' | 'unreachable' | 'signed-out' }
  | { status: 'signed-in'; user: SessionUser; accessToken: string };

/** What the header needs before the first query returns, so that nothing moves afterwards. */
interface SessionUser {
  id: string;
  isStaff: boolean;
  isSuperuser: boolean;
}

interface SignedIn {
  user: SessionUser;
  /** absent if the browser was already signed in as this user */
  tokens?: { accessToken: string } | null;
}

let current: Session = { status: 'starting' };
const listeners = new Set<() => void>();
const tabs = new BroadcastChannel('flex-identity');

function setState(next: Session): void {
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

/** Takes the result of a sign-up, a sign-in, a password reset or a code. */
export function setSignedIn({ user, tokens }: SignedIn): void {
  if (!tokens) return;
  setState({ status: 'signed-in', user, accessToken: tokens.accessToken });
  tabs.postMessage('signed in');
}

/** Forgets a session that was revoked or has expired. */
export function clearSession(): void {
  if (current.status === 'signed-out') return;
  setState({ status: 'signed-out' });
  tabs.postMessage('signed out');
}

tabs.onmessage = ({ data }) => {
  if (data === 'signed out') setState({ status: 'signed-out' });
  else bearer.refresh(accessToken()).catch(() => {});
};

function accessToken(): string | null {
  return current.status === 'signed-in' ? current.accessToken : null;
}

export const bearer = singleFlightRefresh(accessToken, refresh);

/** Restores the session at the start. Call it again if the status is `unreachable`. */
export async function restoreSession(): Promise<void> {
  try {
    await bearer.refresh(null);
  } catch {
    if (current.status !== 'signed-in') setState({ status: 'unreachable' });
  }
}

/** Refreshes in one tab at a time: the refresh token in the cookie is single-use. */
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
  // 403: the service does not list this origin, so the cookie signs no user in here.
  // The sign-in form shows that error when the user submits it.
  const unlisted = response.status === 403 && current.status !== 'signed-in';
  if (result === undefined && !unlisted) throw new Error('the session could not be refreshed');
  if (result?.__typename === 'RefreshSessionSuccess') {
    setState({ status: 'signed-in', user: result.user, accessToken: result.tokens.accessToken });
    return true;
  }
  if (current.status === 'signed-in') clearSession();
  else setState({ status: 'signed-out' });
  return false;
}
