/** How hard a password is to guess, by the estimator of the service. Loaded when somebody chooses a password: its dictionaries are large. */
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';

const zxcvbn = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs });

/** @returns 0 (anybody guesses it) to 4 */
export function strengthOf(password: string, words: string[]): number {
  return zxcvbn.check(password.slice(0, 256), words).score;
}
