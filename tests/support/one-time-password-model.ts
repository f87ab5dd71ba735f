/** A model of the one-time password of one token and purpose. Histories are checked against it. */
import type { Operation, Step } from './linearizability.js';

export type TokenOperation = Operation &
  (
    | { do: 'generate'; oneTimePassword: string; expiresAt: number }
    /** a send without reading the message */
    | { do: 'send'; expiresAt: number }
    /** shifts stored times into the past, and reports the stored state */
    | { do: 'advance'; milliseconds: number; failureCount: number; retryAt: number | null; expiresAt: number | null }
    | { do: 'check'; guess: string; answer: CheckAnswer }
  );

export type CheckAnswer = 'right' | 'wrong' | { retryAt: number; failureCount: number };

/** The interval of an unreported decision of the database. */
type Between = readonly [earliest: number, latest: number];

/** Times without the shifts that let time pass. */
export interface TokenState {
  shifted: number;
  /** null if none exists, or if no client has read it */
  live: string | null;
  expiresAt: number | null;
  failureCount: number;
  retryAt: Between | null;
}

export const untouched: TokenState = { shifted: 0, live: null, expiresAt: null, failureCount: 0, retryAt: null };

const lifetimeMilliseconds = 600_000;
/** Stored times are truncated or rounded to milliseconds. */
const tolerance = 2;

function waitMilliseconds(failureCount: number): number {
  return Math.min(2 ** (failureCount - 1), 3_600) * 1_000;
}

/**
 * A check of the right password has two steps: it is counted as a failure and compared, then used
 * up. Others may run between them.
 * @see `explain`
 */
export function stepsOfToken(state: TokenState, operation: TokenOperation, done: number): Step<TokenState>[] {
  const asked = operation.askedAt + state.shifted - tolerance;
  const answered = operation.answeredAt + state.shifted + tolerance;
  switch (operation.do) {
    case 'advance': {
      const shifted = state.shifted + operation.milliseconds;
      const { failureCount, retryAt, expiresAt } = operation;
      if (failureCount !== state.failureCount) return [];
      if (state.expiresAt !== (expiresAt === null ? null : expiresAt + shifted)) return [];
      if (retryAt === null || state.retryAt === null)
        return retryAt === state.retryAt ? last({ ...state, shifted }) : [];
      return isWithin(retryAt + shifted, state.retryAt)
        ? last({ ...state, shifted, retryAt: [retryAt + shifted, retryAt + shifted] })
        : [];
    }
    case 'generate':
    case 'send': {
      const expiresAt = operation.expiresAt + state.shifted;
      if (expiresAt < asked + lifetimeMilliseconds || expiresAt > answered + lifetimeMilliseconds) return [];
      // The count stays.
      return last({ ...state, live: operation.do === 'send' ? null : operation.oneTimePassword, expiresAt });
    }
    case 'check':
      return done === 0 ? reserve(state, operation, [asked, answered]) : spend(state, operation);
  }
}

type Check = Extract<TokenOperation, { do: 'check' }>;

function reserve(state: TokenState, { guess, answer }: Check, [asked, answered]: Between): Step<TokenState>[] {
  const { retryAt, failureCount, shifted } = state;
  if (typeof answer === 'object') {
    if (retryAt === null || asked >= retryAt[1] || answer.failureCount !== failureCount) return [];
    const told = answer.retryAt + shifted;
    if (!isWithin(told, retryAt)) return [];
    return last({ ...state, retryAt: [told, told] });
  }
  if (retryAt !== null && answered < retryAt[0]) return [];
  const wait = waitMilliseconds(failureCount + 1);
  const reserved: TokenState = { ...state, failureCount: failureCount + 1, retryAt: [asked + wait, answered + wait] };
  const steps: Step<TokenState>[] = [];
  const isLive = state.live === guess && state.expiresAt !== null;
  if (isLive && asked < state.expiresAt!) steps.push({ state: reserved, done: 1 });
  if (answer === 'wrong' && (!isLive || answered >= state.expiresAt!)) steps.push(...last(reserved));
  return steps;
}

function spend(state: TokenState, { guess, answer }: Check): Step<TokenState>[] {
  // Replaced or used meanwhile: the attempt fails and stays counted.
  if (answer === 'wrong') return state.live === guess ? [] : last(state);
  return state.live === guess ? last({ ...state, live: null, expiresAt: null, failureCount: 0, retryAt: null }) : [];
}

function isWithin(instant: number, [earliest, latest]: Between): boolean {
  return instant >= earliest && instant <= latest;
}

function last(state: TokenState): Step<TokenState>[] {
  return [{ state, done: null }];
}
