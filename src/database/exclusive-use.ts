/** The embedded database belongs to one process: two would destroy it. */
import { unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join, relative } from 'node:path';

/** Another process has the embedded database open. */
class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError';
}

/**
 * Takes the folder for this process by listening on a socket in it: the system lets it go with the process, however that ends.
 * @returns how to let it go
 * @throws {DatabaseInUseError}
 */
export async function takeExclusively(folder: string): Promise<() => Promise<void>> {
  const absolute = join(folder, 'in-use.sock');
  // The name of a socket has about a hundred bytes at most: the shorter way of writing it.
  const path = [absolute, relative(process.cwd(), absolute)].sort((a, b) => a.length - b.length)[0]!;
  const server = await listen(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    if (await isAnswered(path))
      throw new DatabaseInUseError(`${folder} is open in another process. Stop that one first, or give DATABASE_URL.`);
    // Left behind by a process that was killed.
    await unlink(path);
    return listen(path);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end());
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
