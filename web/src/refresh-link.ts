/**
 * Apollo link that sends the access token with each request.
 * If the token is rejected, it refreshes the session once and repeats the request.
 */
import { ApolloLink } from '@apollo/client';
import { from, mergeMap, of } from 'rxjs';

export interface Bearer {
  /** Returns null if no user is signed in. */
  accessToken(): string | null;
  /** Replaces a rejected access token. Resolves to whether there is a new token. */
  refresh(rejected: string | null): Promise<boolean>;
}

export function refreshLink({ accessToken, refresh }: Bearer): ApolloLink {
  return new ApolloLink((operation, forward) => {
    const send = (token: string | null) => {
      if (token !== null)
        operation.setContext(({ headers }) => ({ headers: { ...headers, authorization: `Bearer ${token}` } }));
      return forward(operation);
    };
    const token = accessToken();
    return send(token).pipe(
      mergeMap((result) => {
        const rejected = result.errors?.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
        if (!rejected || token === null) return of(result);
        // The service executed nothing, so mutations may be repeated too.
        // Another user may have signed in meanwhile. Do not repeat the request as that user.
        return from(refresh(token)).pipe(
          mergeMap((refreshed) => {
            const next = accessToken();
            const sameUser = next !== null && readSubject(next) === readSubject(token);
            return refreshed && sameUser ? send(next) : of(result);
          }),
        );
      }),
    );
  });
}

/** Returns the claim `sub` of an access token, which is a JWT. */
function readSubject(accessToken: string): string {
  // Invariant: the service issued the token, and a JWT has three parts.
  const payload = accessToken.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(atob(payload)).sub;
}

/**
 * Shares one refresh between all requests whose token was rejected.
 * Requests that arrive during the refresh wait for it. Later ones use its result.
 */
export function singleFlightRefresh(accessToken: Bearer['accessToken'], refresh: () => Promise<boolean>): Bearer {
  let pending: Promise<boolean> | undefined;
  return {
    accessToken,
    async refresh(rejected) {
      const current = accessToken();
      if (pending === undefined && current !== rejected) return current !== null;
      pending ??= refresh().finally(() => {
        pending = undefined;
      });
      return pending;
    },
  };
}
