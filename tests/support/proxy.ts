/** A way to the database that can be cut. */
import { connect, createServer, type Socket } from 'node:net';
import { after } from 'node:test';

export interface Proxy {
  /** the URL of the database, by way of here */
  url: string;
  /** Cuts every connection and takes no new one. */
  cut(): Promise<void>;
  heal(): Promise<void>;
}

/** Stands between the service and its database; gone after the tests of this file. */
export async function startProxy(databaseUrl: string): Promise<Proxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
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
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  after(cut);
  return { url: url.href, cut, heal: () => listen(port) };
}
