/** An Apollo link that sends the access token along, and where it is not taken any more waits for one refresh and asks again. */
import { ApolloLink } from '@apollo/client';
import { from, mergeMap, of } from 'rxjs';

export interface Bearer {
  /** null where nobody is signed in */
  accessToken(): string | null;
  /** Gets another in place of one that was not taken. @returns whether there is one now */
  refresh(refused: string | null): Promise<boolean>;
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
        const refused = result.errors?.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
        if (!refused || token === null) return of(result);
        // Nothing was done, so that a mutation may be asked again too; but not in the name of whoever has signed in meanwhile.
        return from(refresh(token)).pipe(
          mergeMap((again) => {
            const next = accessToken();
            return again && next !== null && userOf(next) === userOf(token) ? send(next) : of(result);
          }),
        );
      }),
    );
  });
}

/** The claim `sub` of an access token, which is a JWT. */
function userOf(accessToken: string): string {
  const payload = accessToken.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(atob(payload)).sub;
}

/** However many requests were refused, one refresh: those that come while it is under way wait for it, and those that come behind have what it got. */
export function oneRefresh(accessToken: Bearer['accessToken'], refresh: () => Promise<boolean>): Bearer {
  let underWay: Promise<boolean> | undefined;
  return {
    accessToken,
    async refresh(refused) {
      const current = accessToken();
      if (underWay === undefined && current !== refused) return current !== null;
      underWay ??= refresh().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
  };
}
