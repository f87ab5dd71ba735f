/** Bodies of requests: JSON in UTF-8 only. */
import type { FastifyError, FastifyInstance } from 'fastify';

/**
 * Answers 415 to every other content type and character set: two readers could understand such a body differently.
 * Answers 400 to a body that is not UTF-8.
 */
export function acceptUtf8JsonOnly(http: FastifyInstance): void {
  const jsonInUtf8 = /^application\/json\s*(;\s*charset=("utf-8"|utf-8)\s*)?$/i;
  const parse = http.getDefaultJsonParser('error', 'error');
  // Without `fatal` each broken byte becomes the same character, so different passwords would be equal.
  const decoder = new TextDecoder('utf-8', { fatal: true });
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    // Fastify's own reading of the header drops the parts that it does not understand.
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
