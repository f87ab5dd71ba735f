/** Hashes and verifies passwords in worker threads. */
import { createHmac } from 'node:crypto';
import { bcrypt } from './bcrypt.js';
import { verifyForeign } from './imported-hash-verification.js';
import type { ForeignHash } from './imported-hashes.js';

export type PasswordTask =
  | { task: 'hash'; password: string; pepper: Uint8Array; cost: number }
  | { task: 'verify'; password: string; pepper: Uint8Array; bcryptHash: string }
  | { task: 'verify-foreign'; password: string; hash: ForeignHash };

export interface PasswordResult {
  value: string | boolean;
  /** duration of the task */
  milliseconds: number;
}

export default async function run(task: PasswordTask): Promise<PasswordResult> {
  const startedAt = performance.now();
  const value = await perform(task);
  return { value, milliseconds: performance.now() - startedAt };
}

function perform(task: PasswordTask): string | boolean | Promise<boolean> {
  switch (task.task) {
    case 'hash':
      return bcrypt.hashSync(prehash(task), task.cost);
    case 'verify':
      return bcrypt.compareSync(prehash(task), task.bcryptHash);
    case 'verify-foreign':
      return verifyForeign(task.password, task.hash);
  }
}

/** Returns 64 characters for every password, because bcrypt reads 72 bytes and stops at NUL. */
function prehash({ password, pepper }: { password: string; pepper: Uint8Array }): string {
  return createHmac('sha384', pepper).update(password.normalize('NFC'), 'utf8').digest('base64');
}
