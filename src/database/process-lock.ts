/** Locks the embedded database for one process. Two processes would corrupt it. */
import { readdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join, relative } from 'node:path';
import { StartupError } from '../startup-error.js';

/** Another process has the embedded database open. */
class DatabaseInUseError extends StartupError {
  override readonly name = 'DatabaseInUseError';

  constructor(folder: string) {
    super(`${folder} is open in another process. Stop that process, or set DATABASE_URL.`);
  }
}

/**
 * Locks the folder by listening on a numbered socket in it. The operating system releases the
 * socket when the process ends.
 * Does not unlink a stale socket first: two starting processes could remove each other's.
 * Binds the next number instead, which only one process can.
 * @returns a function that releases the lock
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
  // Another process may have bound a different number since the folder was read.
  for (const number of await numbers(folder)) {
    if (number === last + 1) continue;
    if (await isAnswered(socketPath(folder, number))) {
      await close();
      throw new DatabaseInUseError(folder);
    }
    // A process with a greater number may be about to answer.
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
  // Socket paths are limited to about 100 bytes, so use the shorter form.
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

/** Connects twice: a process that has just bound the socket answers a moment later. */
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
