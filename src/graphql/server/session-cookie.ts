/** The refresh token in a cookie that no script reads, for front ends in browsers. */
import type { App } from '../../app/app.js';
import { ForbiddenError } from '../../domain/errors.js';
import type { SessionTokens } from '../../domain/sessions/sessions.js';

/** What a request and its answer offer for it. */
export interface CookieJar {
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
  /** null clears it */
  setCookie(
    name: string,
    value: string | null,
    options: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'lax'; expires?: Date },
  ): void;
}

export interface SessionCookie {
  /** whether `X-Session-Transport: cookie` asks for new refresh tokens to travel in it */
  requested: boolean;
  /**
   * The refresh token that the browser has sent; null where there is none.
   * @throws {ForbiddenError} for a request that a page of an origin which is not listed has made
   */
  read(): string | null;
  /** Puts the refresh token into the cookie and out of the answer. */
  keep(tokens: SessionTokens): SessionTokens;
  clear(): void;
}

/** @see https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix */
export function createSessionCookie(config: App['config'], jar: CookieJar): SessionCookie {
  const secure = config.publicUrl.startsWith('https:');
  // Browsers keep a cookie with the prefix only when it came over https: on localhost without it, it goes by its plain name.
  const name = secure ? '__Host-refresh_token' : 'refresh_token';
  const attributes = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const;
  return {
    requested: jar.header('x-session-transport')?.toLowerCase() === 'cookie',
    read() {
      const value = jar.cookie(name);
      if (value === undefined) return null;
      requireListedOrigin(config, jar);
      return value;
    },
    keep(tokens) {
      jar.setCookie(name, tokens.refreshToken, { ...attributes, expires: tokens.refreshTokenExpiresAt });
      return { ...tokens, refreshToken: null };
    },
    clear() {
      if (jar.cookie(name) !== undefined) jar.setCookie(name, null, attributes);
    },
  };
}

/**
 * Browsers name the origin of the page with every POST. Without one the request is no browser's, and no cookie of somebody else's comes with it.
 * @throws {ForbiddenError}
 */
export function requireListedOrigin(config: App['config'], { header }: Pick<CookieJar, 'header'>): void {
  const origin = header('origin');
  if (origin === undefined) return;
  const listed = [...config.corsOrigins, new URL(config.appUrl).origin, new URL(config.publicUrl).origin];
  if (!listed.includes(origin)) throw new ForbiddenError('Pages of this origin may not use the session cookie.');
}
