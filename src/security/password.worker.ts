/** What runs in the worker threads: everything about a password that costs time. */
import { createHmac } from 'node:crypto';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';
import { compareSync, hashSync } from 'bcryptjs';
import type { ForeignHash } from './foreign-hashes.js';
import { verifyForeign } from './foreign-verification.js';

export type PasswordTask =
  | { task: 'hash'; password: string; pepper: Uint8Array; cost: number }
  | { task: 'verify'; password: string; pepper: Uint8Array; bcryptHash: string }
  | { task: 'verify-foreign'; password: string; hash: ForeignHash }
  | { task: 'score'; password: string; context: string[] };

/** zxcvbn's score, alone and knowing the user's own words. */
export interface PasswordScore {
  score: number;
  scoreWithoutContext: number;
}

/**
 * Its time grows with the square of the length and with the ways to read signs as letters, of which it tries 512 unless told otherwise: by a password
 * of 256 characters anybody could hold a thread for a second. What is strong in its first 64 characters is strong.
 */
const zxcvbn = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs, l33tMaxSubstitutions: 30 });
const scoredCharacters = 64;

export default function run(task: PasswordTask): string | boolean | Promise<boolean> | PasswordScore {
  switch (task.task) {
    case 'hash':
      return hashSync(prehash(task), task.cost);
    case 'verify':
      return compareSync(prehash(task), task.bcryptHash);
    case 'verify-foreign':
      return verifyForeign(task.password, task.hash);
    case 'score':
      return score([...task.password].slice(0, scoredCharacters).join(''), task.context);
  }
}

function score(password: string, context: string[]): PasswordScore {
  const { score: scoreWithoutContext } = zxcvbn.check(password);
  if (context.length === 0 || scoreWithoutContext === 0) return { score: scoreWithoutContext, scoreWithoutContext };
  return { score: zxcvbn.check(password, context).score, scoreWithoutContext };
}

/** 64 characters whatever the password: bcrypt reads 72 bytes and stops at NUL. */
function prehash({ password, pepper }: { password: string; pepper: Uint8Array }): string {
  return createHmac('sha384', pepper).update(password.normalize('NFC'), 'utf8').digest('base64');
}
