/** A haproxy for an experiment. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

export interface Haproxy {
  stop(): Promise<void>;
}

/**
 * Starts haproxy in the foreground, and stops it after the tests of this file at the latest. Does
 * not check its backends.
 * @throws with the message of haproxy for an invalid configuration
 */
export async function startHaproxy(configuration: string): Promise<Haproxy> {
  const folder = mkdtempSync(join(tmpdir(), 'flex-identity-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  // haproxy rejects a configuration without a final line feed.
  writeFileSync(file, `${configuration}\n`);
  const check = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' });
  if (check.status !== 0) throw new Error(`haproxy refuses its configuration:\n${check.stdout}${check.stderr}`);
  const child: ChildProcess = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  after(stop);
  return { stop };
}
