/** The embedded database belongs to one process: two would destroy it. */
import { readdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join, relative } from 'node:path';
import { StartupError } from '../startup-error.js';

/** Another process has the embedded database open. */
class DatabaseInUseError extends StartupError {
  override readonly name = 'DatabaseInUseError';

  constructor(folder: string) {
    super(`${folder} is open in another process. Stop that one first, or give DATABASE_URL.`);
  }
}

/**
 * Takes the folder for this process by listening on a socket in it: the system lets it go with the process, however that ends.
 * A socket left behind by a process that was killed is not taken away first, or two who find it dead could each take away the other's:
 * the next number is taken, which the system gives to one of them.
 * @returns how to let it go
 * @throws {DatabaseInUseError}
 */
export async function acquireProcessLock(folder: string): Promise<() => Promise<void>> {
  const last = Math.max(0, ...(await numbers(folder)));
  if (last > 0 && (await isAnswered(socketPath(folder, last)))) throw new DatabaseInUseError(folder);
  const server = await listen(socketPath(folder, last + 1)).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE' ? new DatabaseInUseError(folder) : error;
  });
  server.unref();
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  // Somebody may have come since the folder was read, by another number.
  for (const number of await numbers(folder)) {
    if (number === last + 1) continue;
    if (await isAnswered(socketPath(folder, number))) {
      await close();
      throw new DatabaseInUseError(folder);
    }
    // A greater one may be about to answer.
    if (number <= last) await unlink(socketPath(folder, number)).catch(() => {});
  }
  return close;
}

async function numbers(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.map((name) => Number(/^in-use-(\d+)\.sock$/.exec(name)?.[1])).filter((number) => number > 0);
}

function socketPath(folder: string, number: number): string {
  const absolute = join(folder, `in-use-${number}.sock`);
  // The name of a socket has about a hundred bytes at most: the shorter way of writing it.
  const relativePath = relative(process.cwd(), absolute);
  return relativePath.length < absolute.length ? relativePath : absolute;
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end());
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

/** Asked twice: one who has just bound the socket answers a moment later. */
async function isAnswered(path: string): Promise<boolean> {
  if (await isConnectable(path)) return true;
  await new Promise((resolve) => setTimeout(resolve, 50));
  return isConnectable(path);
}

function isConnectable(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
