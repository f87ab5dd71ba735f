/** What a request carries to the resolvers. */
import type { App } from '../../app/app.js';
import type { Actor, ClientInfo, Viewer } from '../../domain/actor.js';
import type { SessionTokens } from '../../domain/sessions/sessions.js';
import { type CookieJar, createSessionCookie, type SessionCookie } from './session-cookie.js';

export interface Context extends Actor {
  app: App;
  /** as the bearer presents it; whether it is good is told by `viewer` */
  accessToken: string | null;
  /** of `X-Bootstrap-Secret` */
  bootstrapSecret: string | null;
  cookie: SessionCookie;
  /** of the account that the operation has created, which its caller may read */
  createdUserId: string | null;
  /** the last decision of `read-rules.ts` */
  lastReading: { object: unknown; rule: unknown; viewer: Viewer | null; allowed: boolean } | null;
  header(name: string): string | undefined;
}

export interface RequestFacts extends CookieJar {
  client: ClientInfo;
}

/** The context of a request. Nobody is signed in yet: `session-plugin.ts` asks for the session once the operation is known. */
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
 * From here on the request is that of the session that it has just opened or refreshed: the rest of the answer is for its owner.
 * @param inCookie whether the refresh token is to travel in the cookie
 */
export function adoptSession<T extends { user: Viewer['user']; tokens: SessionTokens | null }>(
  context: Context,
  result: T,
  inCookie: boolean = context.cookie.requested,
): T {
  const { user, tokens } = result;
  if (tokens === null) return result;
  const { session } = tokens;
  context.viewer = { user, session, recentlyAuthenticated: true, recentOneTimePassword: false, touchDue: false };
  return inCookie ? { ...result, tokens: context.cookie.keep(tokens) } : result;
}

/** Lets the caller read the account that the operation has created. */
export function created<T extends { user: Viewer['user'] }>(context: Context, result: T): T {
  context.createdUserId = result.user.id;
  return result;
}

/** One with nothing behind it is not good either, which is another thing than none. */
function readBearer(authorization: string | undefined): string | null {
  const [, bearer] = /^Bearer\b *(.*)$/i.exec(authorization ?? '') ?? [];
  return bearer ?? null;
}
