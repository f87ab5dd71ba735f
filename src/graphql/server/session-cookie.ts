/** The refresh token in an HttpOnly cookie, for front ends in browsers. */
import type { App } from '../../app/app.js';
import { ForbiddenError } from '../../domain/errors.js';
import type { SessionTokens } from '../../domain/sessions/sessions.js';

/** Access to the headers of a request and to the cookies of its request and response. */
export interface CookieJar {
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
  /** Sets the cookie, or clears it if the value is null. */
  setCookie(
    name: string,
    value: string | null,
    options: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'lax'; expires?: Date },
  ): void;
}

export interface SessionCookie {
  /** whether the header `X-Session-Transport: cookie` requests new refresh tokens in the cookie */
  requested: boolean;
  /**
   * Returns the refresh token of the cookie, or null without a cookie.
   * @throws {ForbiddenError} for a request of a page whose origin is not listed
   */
  read(): string | null;
  /** Moves the refresh token from the response into the cookie. */
  keep(tokens: SessionTokens): SessionTokens;
  clear(): void;
}

/**
 * Creates the session cookie of a request.
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
 */
export function createSessionCookie(config: App['config'], jar: CookieJar): SessionCookie {
  const secure = config.publicUrl.startsWith('https:');
  // Browsers accept the prefix only over HTTPS, so a service at http://localhost uses the plain
  // name.
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
 * Checks the origin of a page that sends the cookie. No Origin header means no browser, hence no
 * CSRF.
 * @throws {ForbiddenError} for an origin that is not listed
 */
export function requireListedOrigin(config: App['config'], { header }: Pick<CookieJar, 'header'>): void {
  const origin = header('origin');
  if (origin === undefined) return;
  const listed = [...config.corsOrigins, new URL(config.appUrl).origin, new URL(config.publicUrl).origin];
  if (!listed.includes(origin)) throw new ForbiddenError('Pages of this origin may not use the session cookie.');
}
