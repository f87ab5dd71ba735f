/** Parses request bodies: JSON in UTF-8 only. */
import type { FastifyError, FastifyInstance } from 'fastify';

/**
 * Accepts only JSON in UTF-8. Responds with 415 to other content types and character sets.
 * Responds with 400 to invalid UTF-8.
 */
export function acceptUtf8JsonOnly(http: FastifyInstance): void {
  const jsonInUtf8 = /^application\/json\s*(;\s*charset=("utf-8"|utf-8)\s*)?$/i;
  const parse = http.getDefaultJsonParser('error', 'error');
  // Without `fatal`, invalid bytes become U+FFFD, and distinct passwords compare equal.
  const decoder = new TextDecoder('utf-8', { fatal: true });
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    // The parser of Fastify ignores parts of the header that it cannot parse.
    if (!jsonInUtf8.test(request.headers['content-type'] ?? '')) return done(httpError(415, 'Unsupported Media Type'));
    let text: string;
    try {
      text = decoder.decode(body);
    } catch {
      return done(httpError(400, 'The body is not UTF-8.'));
    }
    parse(request, text, done);
  });
}

function httpError(statusCode: number, message: string): FastifyError {
  return Object.assign(new Error(message), { statusCode, code: 'REFUSED' });
}
