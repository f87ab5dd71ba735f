/**
 * Common parts of the provider stubs: an HTTP server that records requests and misbehaves on
 * demand.
 */
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

/** A complete response. */
export interface StubAnswer {
  status: number;
  headers?: Record<string, string>;
  /** sent as text if it is a text, else as JSON */
  body?: unknown;
}

/** The behaviour after a request is read. */
export type Behaviour<Body> =
  /** a successful response */
  | 'accept'
  /** no response until the client gives up */
  | 'hang'
  /** a connection reset */
  | 'reset'
  /** a closed connection without a response */
  | 'close'
  /** a successful head and occasional bytes without an end */
  | 'drip'
  /** a failure head, then nothing */
  | 'hang-in-refusal'
  /** invalid HTTP */
  | 'garbage'
  | StubAnswer
  /** a response that depends on the request */
  | ((body: Body) => StubAnswer);

export interface StubRequest<Body> {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Body;
  /** milliseconds of a monotonic clock */
  at: number;
}

export interface StubProvider<Body> {
  url: string;
  /** all received requests, oldest first */
  requests: StubRequest<Body>[];
  /** The requests for a recipient, oldest first. */
  requestsFor(to: string): StubRequest<Body>[];
  /**
   * Waits for the only request for a recipient, because strangers' messages follow the response.
   */
  messageTo(to: string): Promise<StubRequest<Body>>;
  /** Sets the behaviours for a recipient in order. The last applies to all further requests. */
  behave(to: string, ...behaviours: [Behaviour<Body>, ...Behaviour<Body>[]]): void;
  /** Sets the behaviour for all other recipients. */
  behaveElse(behaviour: Behaviour<Body>): void;
  /** Resets requests, behaviours and the connection maximum. */
  clear(): void;
  connections: { open: number; greatest: number };
}

const dripMilliseconds = 200;

/** Starts a provider, and stops it after the tests of this file. */
export async function startProvider<Body>(
  { recipientOf, accept }: { recipientOf(body: Body): string; accept(body: Body): StubAnswer },
  port = 0,
): Promise<StubProvider<Body>> {
  const requests: StubRequest<Body>[] = [];
  const programmes = new Map<string, Behaviour<Body>[]>();
  let otherwise: Behaviour<Body> = 'accept';
  const connections = { open: 0, greatest: 0 };
  const sockets = new Set<Socket>();

  function next(to: string): Behaviour<Body> {
    const programme = programmes.get(to);
    if (programme === undefined) return otherwise;
    return programme.length > 1 ? programme.shift()! : programme[0]!;
  }

  const server = createServer(async (request, response) => {
    const body = JSON.parse(await textOf(request)) as Body;
    const { method = '', url = '', headers } = request;
    requests.push({ method, path: url, headers, body, at: performance.now() });
    const behaviour = next(recipientOf(body));
    const answered = behaviour === 'accept' ? accept : behaviour;
    perform(typeof answered === 'function' ? answered(body) : answered, response);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    connections.open += 1;
    connections.greatest = Math.max(connections.greatest, connections.open);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      connections.open -= 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const requestsFor = (to: string) => requests.filter(({ body }) => recipientOf(body) === to);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    requestsFor,
    async messageTo(to) {
      for (const deadline = performance.now() + 5_000; requestsFor(to).length === 0; await delay(10))
        assert.ok(performance.now() < deadline, `nothing was sent to ${to}`);
      const [message, ...others] = requestsFor(to);
      assert.deepEqual(others, []);
      return message!;
    },
    behave: (to, ...behaviours) => void programmes.set(to, behaviours),
    behaveElse(behaviour) {
      otherwise = behaviour;
    },
    clear() {
      requests.length = 0;
      programmes.clear();
      otherwise = 'accept';
      connections.greatest = connections.open;
    },
    connections,
  };
}

function perform(
  behaviour: Exclude<Behaviour<never>, 'accept' | ((body: never) => StubAnswer)>,
  response: ServerResponse,
): void {
  const socket = response.socket!;
  if (behaviour === 'hang') return;
  if (behaviour === 'reset') socket.resetAndDestroy();
  else if (behaviour === 'close') socket.end();
  else if (behaviour === 'garbage') socket.end('220 smtp.example.com ESMTP ready\r\n');
  else if (behaviour === 'hang-in-refusal') response.writeHead(500, { 'content-type': 'application/json' }).write('{');
  else if (behaviour === 'drip') {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), dripMilliseconds);
    socket.on('close', () => clearInterval(timer));
  } else {
    const { status, headers = {}, body = '' } = behaviour;
    const isText = typeof body === 'string';
    response
      .writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json', ...headers })
      .end(isText ? body : JSON.stringify(body));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  request.setEncoding('utf8');
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
