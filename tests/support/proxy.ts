/** A proxy to the database that can cut or stall connections. */
import { connect, createServer, type Socket } from 'node:net';
import { after } from 'node:test';

export interface Proxy {
  /** the URL of the database through the proxy */
  url: string;
  /** Cuts all connections and rejects new ones. */
  cut(): Promise<void>;
  /** Keeps and accepts connections, and forwards nothing. */
  stall(): void;
  heal(): Promise<void>;
}

/** Starts a proxy, and stops it after the tests of this file. */
export async function startProxy(databaseUrl: string): Promise<Proxy> {
  const target = new URL(databaseUrl);
  const sockets = new Map<Socket, Socket>();
  let stalled = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.set(socket, other);
      if (!stalled) socket.pipe(other);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as { port: number };
  const url = new URL(databaseUrl);
  url.port = String(port);
  const cut = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets.keys()) socket.destroy();
    await closed;
  };
  after(cut);
  return {
    url: url.href,
    cut,
    stall() {
      stalled = true;
      for (const [socket, other] of sockets) socket.unpipe(other).pause();
    },
    async heal() {
      if (!server.listening) await listen(port);
      if (!stalled) return;
      stalled = false;
      for (const [socket, other] of sockets) socket.pipe(other);
    },
  };
}
