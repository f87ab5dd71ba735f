/** The context of a request, which resolvers receive. */
import type { App } from '../../app/app.js';
import type { Actor, ClientInfo, Viewer } from '../../domain/actor.js';
import type { SessionTokens } from '../../domain/sessions/sessions.js';
import { type CookieJar, createSessionCookie, type SessionCookie } from './session-cookie.js';

export interface Context extends Actor {
  app: App;
  /** the unverified access token of the request; `viewer` is the result of the verification */
  accessToken: string | null;
  /** the header `X-Bootstrap-Secret` */
  bootstrapSecret: string | null;
  cookie: SessionCookie;
  /** the account that the operation created, which the caller may read */
  createdUserId: string | null;
  /** the last decision of `read-rules.ts` */
  lastReading: { object: unknown; rule: unknown; viewer: Viewer | null; allowed: boolean } | null;
  header(name: string): string | undefined;
}

export interface RequestFacts extends CookieJar {
  client: ClientInfo;
}

/**
 * Creates the context of a request, without a viewer. `session-plugin.ts` adds the viewer once the
 * operation is known.
 */
export function createContext(app: App, { client, ...jar }: RequestFacts): Context {
  const { header } = jar;
  return {
    app,
    viewer: null,
    client,
    accessToken: readBearer(header('authorization')),
    bootstrapSecret: header('x-bootstrap-secret') ?? null,
    cookie: createSessionCookie(app.config, jar),
    createdUserId: null,
    lastReading: null,
    header,
  };
}

/**
 * Makes the new or refreshed session the session of the request, so its user may read the rest of
 * the response.
 * @param inCookie whether the cookie carries the refresh token
 */
export function adoptSession<T extends { user: Viewer['user']; tokens: SessionTokens | null }>(
  context: Context,
  result: T,
  inCookie: boolean = context.cookie.requested,
): T {
  const { user, tokens } = result;
  if (tokens === null) return result;
  const { session } = tokens;
  // Later fields of the response read only; the proofs of the new session never matter.
  context.viewer = {
    user,
    session,
    recentlyAuthenticated: true,
    passwordProof: false,
    addressProofVerifiedAt: null,
    openedForNewOwner: false,
    touchDue: false,
  };
  return inCookie ? { ...result, tokens: context.cookie.keep(tokens) } : result;
}

/** Lets the caller read the account that the operation has created. */
export function created<T extends { user: Viewer['user'] }>(context: Context, result: T): T {
  context.createdUserId = result.user.id;
  return result;
}

/** An empty bearer is invalid, not absent. */
function readBearer(authorization: string | undefined): string | null {
  const [, bearer] = /^Bearer\b *(.*)$/i.exec(authorization ?? '') ?? [];
  return bearer ?? null;
}
