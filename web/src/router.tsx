/** Client-side navigation. */
import { type AnchorHTMLAttributes, useSyncExternalStore } from 'react';

const moved = 'flex-identity:moved';

function subscribe(listener: () => void): () => void {
  for (const event of ['popstate', 'hashchange', moved]) addEventListener(event, listener);
  return () => {
    for (const event of ['popstate', 'hashchange', moved]) removeEventListener(event, listener);
  };
}

export function useLocation(): { path: string; fragment: string; search: string } {
  const href = useSyncExternalStore(subscribe, () => location.href);
  const { pathname, hash, search } = new URL(href);
  return { path: pathname, fragment: hash.slice(1), search };
}

export function go(to: string, { replace = false } = {}): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  if (!replace) scrollTo(0, 0);
  dispatchEvent(new Event(moved));
}

export function Link({ to, ...rest }: { to: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  return (
    <a
      {...rest}
      href={to}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        go(to);
      }}
    />
  );
}

/**
 * Reads the code from the fragment of a message link, which browsers send to no server.
 * Returns null if there is none.
 */
export function readMessageLink(fragment: string): { tokenId: string; oneTimePassword: string } | null {
  const given = new URLSearchParams(fragment);
  const [tokenId, oneTimePassword] = [given.get('token'), given.get('code')];
  return tokenId && oneTimePassword ? { tokenId, oneTimePassword } : null;
}
