/** Kills processes during the creation of the embedded database. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { compiledFile, root } from './root.js';

const folderOf = (dataDir: string) => join(dataDir, 'database');

/** The marker file of an incomplete database. */
const markOf = (dataDir: string) => `${folderOf(dataDir)}.unfinished`;

/** Returns whether the database is complete, so no start discards it. */
export function isFinished(dataDir: string): boolean {
  const isThere = existsSync(folderOf(dataDir)) && readdirSync(folderOf(dataDir)).length > 0;
  return isThere && !existsSync(markOf(dataDir));
}

/** Kills a process after a delay. @returns whether it was creating the database */
export async function killedAfter(dataDir: string, milliseconds: number): Promise<boolean> {
  const { child, exited } = startCreating(dataDir);
  await delay(milliseconds);
  child.kill('SIGKILL');
  await exited;
  return existsSync(markOf(dataDir));
}

/** Starts a process that opens and migrates the database like the service. */
function startCreating(dataDir: string): { child: ChildProcess; exited: Promise<unknown> } {
  const program = `
    const { openDatabase } = await import(${JSON.stringify(compiledFile('src/database/open-database.ts'))});
    const [dataDir, packageFolder] = process.argv.slice(1);
    const options = { url: undefined, poolSize: 1, dataDir, packageFolder, onIdleError() {} };
    await (await openDatabase(options)).migrate();
    await new Promise((resolve) => setTimeout(resolve, 600_000));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, dataDir, root], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  after(() => child.kill('SIGKILL'));
  return { child, exited: new Promise((resolve) => child.on('exit', resolve)) };
}
