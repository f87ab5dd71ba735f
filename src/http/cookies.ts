/** The cookies of a request and of its answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CookieJar } from '../graphql/server/session-cookie.js';

/** Gives GraphQL the headers and cookies of a request, and lets it set cookies. */
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
