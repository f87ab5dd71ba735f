import { print } from 'graphql';
import { RefreshSessionDocument, type RefreshSessionMutation } from '../../web/src/generated/graphql.js';
import { api } from './api.js';

/** The tokens of a native app or server. In a browser the cookie holds the refresh token. */
export const tokens = {
  accessToken: null as string | null,
  refreshToken: null as string | null,

  /** Stores the tokens of a sign-in, a sign-up or a refresh. */
  store(issued: { accessToken: string; refreshToken?: string | null }): void {
    tokens.accessToken = issued.accessToken;
    tokens.refreshToken = issued.refreshToken ?? null;
  },

  /** Refreshes the session. @returns whether the session is still valid */
  async refresh(): Promise<boolean> {
    const response = await fetch(api, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: print(RefreshSessionDocument), variables: { refreshToken: tokens.refreshToken } }),
    });
    const { data } = (await response.json()) as { data?: RefreshSessionMutation };
    // The API is unavailable, so the session may still be valid. The next request retries.
    if (!data) throw new Error(`HTTP ${response.status}`);
    if (data.refreshSession.__typename !== 'RefreshSessionSuccess') {
      tokens.accessToken = null;
      return false;
    }
    tokens.store(data.refreshSession.tokens);
    return true;
  },
};
