/** Scores passwords in a thread of its own, so the hashing threads do not load the dictionaries. */
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';

export interface ScoreTask {
  password: string;
  /** identifiers of the user */
  context: string[];
}

/** The scores of zxcvbn, with and without the identifiers of the user. */
export interface PasswordScore {
  score: number;
  scoreWithoutContext: number;
}

/**
 * Limits substitutions and characters, because a password of 256 characters would block the thread
 * for a second.
 * The time grows with the square of the length and with the l33t substitutions, 512 by default.
 */
const zxcvbn = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs, l33tMaxSubstitutions: 30 });
const scoredCharacters = 64;

export default function run({ password, context }: ScoreTask): PasswordScore {
  const scored = [...password].slice(0, scoredCharacters).join('');
  const { score: scoreWithoutContext } = zxcvbn.check(scored);
  if (context.length === 0 || scoreWithoutContext === 0) return { score: scoreWithoutContext, scoreWithoutContext };
  return { score: zxcvbn.check(scored, context).score, scoreWithoutContext };
}
