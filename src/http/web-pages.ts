/** The reference front end: its built files as they are, and one page for every path of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app/app.js';
import { packageFolder } from '../config/package-folder.js';

/** The build writes the files here. */
const folder = join(packageFolder, 'dist/web');

/** The paths of the front end. Messages link to three of them. */
const paths = ['/', '/sign-in', '/sign-up', '/verify', '/reset-password', '/account', '/users', '/users/:id', '/audit'];

/** Allows the front end's own scripts, styles and images, and requests to this service. Nothing inline, and no text becomes markup. */
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

/** Serves the built files of the front end. Logs a warning where it is not built. */
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
  // The names hold a digest of the content.
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

/** Reads a whole file once, so the service never serves anything but what was built. */
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
 * Finds where to redirect a request of the same machine by another name. Only the name of `PUBLIC_URL` may use the session cookie.
 * @returns null where the name is right, or not of this machine
 */
function canonical({ host, url }: FastifyRequest, publicUrl: string): string | null {
  const { hostname, host: expected, port } = new URL(publicUrl);
  const asked = host.replace(/:\d+$/, '');
  if (host === expected || asked === hostname || port === '0') return null;
  return loopback.has(asked) && loopback.has(hostname) ? `${publicUrl}${url}` : null;
}
