/**
 * Estimates password strength as the service does.
 * The module is loaded on demand, because its dictionaries are large.
 */
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';

const zxcvbn = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs });

/**
 * @param userInputs words that an attacker would try first, such as the username
 * @returns 0 (trivial to guess) to 4 (strong)
 */
export function estimateStrength(password: string, userInputs: string[]): number {
  return zxcvbn.check(password.slice(0, 256), userInputs).score;
}
