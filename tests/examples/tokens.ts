import { print } from 'graphql';
import { RefreshSessionDocument, type RefreshSessionMutation } from '../../web/src/generated/graphql.js';
import { api } from './api.js';

/** The tokens of a program. In a browser the refresh token is in the cookie, and there is none to keep. */
export const tokens = {
  accessToken: null as string | null,
  refreshToken: null as string | null,

  /** Keeps what a sign-in, a sign-up or a refresh has answered. */
  keep(given: { accessToken: string; refreshToken?: string | null }): void {
    tokens.accessToken = given.accessToken;
    tokens.refreshToken = given.refreshToken ?? null;
  },

  /** @returns whether the session goes on */
  async refresh(): Promise<boolean> {
    const response = await fetch(api, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: print(RefreshSessionDocument), variables: { refreshToken: tokens.refreshToken } }),
    });
    const { data } = (await response.json()) as { data?: RefreshSessionMutation };
    // Away, and not over: the request that waits fails, and the next one tries again.
    if (!data) throw new Error(`HTTP ${response.status}`);
    if (data.refreshSession.__typename !== 'RefreshSessionSuccess') {
      tokens.accessToken = null;
      return false;
    }
    tokens.keep(data.refreshSession.tokens);
    return true;
  },
};
