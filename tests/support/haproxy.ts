/** A haproxy of one experiment's own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

export interface Haproxy {
  stop(): Promise<void>;
}

/**
 * Starts haproxy in the foreground, and stops it after the tests of this file at the latest. Whether it passes anything on is for whoever knows its addresses.
 * @throws with what haproxy says of a configuration that it does not take
 */
export async function startHaproxy(configuration: string): Promise<Haproxy> {
  const folder = mkdtempSync(join(tmpdir(), 'flex-identity-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  // Without an end of the last line haproxy takes it for cut off.
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
