/** What runs in the thread that scores passwords. Its dictionaries take memory, which the threads that hash need not take too. */
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';

export interface ScoreTask {
  password: string;
  /** the user's own words */
  context: string[];
}

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

export default function run({ password, context }: ScoreTask): PasswordScore {
  const scored = [...password].slice(0, scoredCharacters).join('');
  const { score: scoreWithoutContext } = zxcvbn.check(scored);
  if (context.length === 0 || scoreWithoutContext === 0) return { score: scoreWithoutContext, scoreWithoutContext };
  return { score: zxcvbn.check(scored, context).score, scoreWithoutContext };
}
