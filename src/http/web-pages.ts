/** The reference front end: its built files as they are, and one page for every path of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app/app.js';
import { packageFolder } from '../config/package-folder.js';

/** The build writes them here. */
const folder = join(packageFolder, 'dist/web');

/** What the front end shows a page at. Messages lead to three of them. */
const paths = ['/', '/sign-in', '/sign-up', '/verify', '/reset-password', '/account', '/users', '/users/:id', '/audit'];

/** Its own scripts, styles and images, and requests to this service: nothing inline, nothing of others, and no text becomes markup. */
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

export function addWebPages(http: FastifyInstance, app: App): void {
  if (!existsSync(join(folder, 'index.html'))) {
    app.log.warn('the front end is not built: npm run build');
    return;
  }
  const index = readFile('index.html');
  for (const path of paths)
    http.get(path, (request, reply) => {
      const elsewhere = canonical(request, app.config.publicUrl);
      if (elsewhere !== null) return reply.redirect(elsewhere, 307);
      reply.header('content-security-policy', contentSecurityPolicy).header('cache-control', 'no-cache');
      return send(request, reply, index);
    });
  // The names hold a digest of what is in them.
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
  /** by the name of the encoding, best first */
  encoded: [string, Buffer][];
}

/** Whole, and once: what is served cannot be anything but what was built. */
function readFile(name: string): File {
  const path = join(folder, name);
  return {
    type: types[extname(name)]!,
    plain: readFileSync(path),
    encoded: encodings
      .filter(([, suffix]) => existsSync(path + suffix))
      .map(([encoding, suffix]) => [encoding, readFileSync(path + suffix)]),
  };
}

function send({ headers }: FastifyRequest, reply: FastifyReply, { type, plain, encoded }: File): FastifyReply {
  const accepted = (headers['accept-encoding'] ?? '').split(',').map((each) => each.split(';')[0]!.trim());
  const [encoding, bytes] = encoded.find(([name]) => accepted.includes(name)) ?? [undefined, plain];
  if (encoding !== undefined) reply.header('content-encoding', encoding);
  return reply.header('vary', 'accept-encoding').type(type).send(bytes);
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * On one's own machine the same pages answer to several names, of which one may use the session cookie: the others lead there.
 * @returns null where the request names the right one, or a name that is not of this machine
 */
function canonical({ host, url }: FastifyRequest, publicUrl: string): string | null {
  const { hostname, host: expected, port } = new URL(publicUrl);
  const asked = host.replace(/:\d+$/, '');
  if (host === expected || asked === hostname || port === '0') return null;
  return loopback.has(asked) && loopback.has(hostname) ? `${publicUrl}${url}` : null;
}
