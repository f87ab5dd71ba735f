/** The cookies of a request and of its response. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CookieJar } from '../graphql/server/session-cookie.js';

/** Adapts a Fastify request and reply to the cookie jar of the GraphQL layer. */
export function createCookieJar({ headers, cookies }: FastifyRequest, reply: FastifyReply): CookieJar {
  return {
    header: (name) => [headers[name]].flat()[0],
    cookie: (name) => cookies[name],
    setCookie(name, value, options) {
      if (value === null) reply.clearCookie(name, options);
      else reply.setCookie(name, value, options);
    },
  };
}
