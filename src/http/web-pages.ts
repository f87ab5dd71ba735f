/** Serves the reference front end: its built files, and one page for all its paths. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app/app.js';
import { packageFolder } from '../config/package-folder.js';

/** The output folder of the build. */
const folder = join(packageFolder, 'dist/web');

/** The paths of the front end. Messages link to four of them. */
const paths = ['/', '/sign-in', '/sign-up', '/verify', '/reset-password', '/account', '/users', '/users/:id', '/audit'];

/**
 * Allows scripts, styles, images and requests of this origin only. Forbids inline code and text as
 * markup.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const encodings = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

/** Serves the built front end, or logs a warning if it is not built. */
export function addWebPages(http: FastifyInstance, app: App): void {
  if (!existsSync(join(folder, 'index.html'))) {
    app.log.warn('the front end is not built: npm run build');
    return;
  }
  const index = readFile('index.html');
  for (const path of paths)
    http.get(path, (request, reply) => {
      const redirectUrl = findCanonicalUrl(request, app.config.publicUrl);
      if (redirectUrl !== null) return reply.redirect(redirectUrl, 307);
      reply.header('content-security-policy', contentSecurityPolicy).header('cache-control', 'no-cache');
      return send(request, reply, index);
    });
  // Asset names contain a digest of the content, so clients may cache them forever.
  for (const name of readdirSync(join(folder, 'assets')).filter((file) => extname(file) in types)) {
    const file = readFile(`assets/${name}`);
    http.get(`/assets/${name}`, (request, reply) => {
      reply.header('cache-control', 'public, max-age=31536000, immutable');
      return send(request, reply, file);
    });
  }
}

interface File {
  type: string;
  plain: Buffer;
  /** compressed content by encoding, preferred first */
  encoded: [string, Buffer][];
}

/** Reads a file once at start, so a request can never select another file. */
function readFile(name: string): File {
  const path = join(folder, name);
  const type = types[extname(name)];
  if (type === undefined) throw new Error(`${name} has no content type`);
  return {
    type,
    plain: readFileSync(path),
    encoded: encodings
      .filter(([, suffix]) => existsSync(path + suffix))
      .map(([encoding, suffix]) => [encoding, readFileSync(path + suffix)]),
  };
}

function send({ headers }: FastifyRequest, reply: FastifyReply, { type, plain, encoded }: File): FastifyReply {
  const accepted = (headers['accept-encoding'] ?? '').split(',').map((each) => each.replace(/;.*/s, '').trim());
  const [encoding, bytes] = encoded.find(([name]) => accepted.includes(name)) ?? [undefined, plain];
  if (encoding !== undefined) reply.header('content-encoding', encoding);
  return reply.header('vary', 'accept-encoding').type(type).send(bytes);
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Finds the redirect for a request that uses another loopback name than `PUBLIC_URL`.
 * Only the origin of `PUBLIC_URL` may use the session cookie.
 * @returns null if the host is correct, or is not a loopback name
 */
function findCanonicalUrl({ host, url }: FastifyRequest, publicUrl: string): string | null {
  const { hostname, host: expected, port } = new URL(publicUrl);
  const asked = host.replace(/:\d+$/, '');
  if (host === expected || asked === hostname || port === '0') return null;
  return loopback.has(asked) && loopback.has(hostname) ? `${publicUrl}${url}` : null;
}
