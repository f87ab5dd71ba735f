/** What the one-time password of one token and purpose may do and answer, step by step, by the rules: what histories of it are held against. */
import type { Operation, Step } from './linearizability.js';

export type TokenOperation = Operation &
  (
    | { do: 'generate'; oneTimePassword: string; expiresAt: number }
    /** what is sent is read by nobody */
    | { do: 'send'; expiresAt: number }
    /** every stored instant is shifted into the past, and what is stored after that is told */
    | { do: 'advance'; milliseconds: number; failureCount: number; retryAt: number | null; expiresAt: number | null }
    | { do: 'check'; guess: string; answer: CheckAnswer }
  );

export type CheckAnswer = 'right' | 'wrong' | { retryAt: number; failureCount: number };

/** Between which instants something lies that the database has decided and has not told. */
type Between = readonly [earliest: number, latest: number];

/** Instants as if nobody had shifted any: shifting stored ones into the past is to let time pass. */
export interface TokenState {
  shifted: number;
  /** null where none is, or one that nobody has read */
  live: string | null;
  expiresAt: number | null;
  failureCount: number;
  retryAt: Between | null;
}

export const untouched: TokenState = { shifted: 0, live: null, expiresAt: null, failureCount: 0, retryAt: null };

const lifetimeMilliseconds = 600_000;
/** What is stored has milliseconds, and is cut or rounded to them. */
const tolerance = 2;

function waitMilliseconds(failureCount: number): number {
  return Math.min(2 ** (failureCount - 1), 3_600) * 1_000;
}

/**
 * A check is two steps where what was given is right: it is reserved, as a failure, and compared; then spent. Others may come between, and find the door shut.
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
  // Another has been made meanwhile, or it has been spent: then it is wrong after all, and stays counted.
  if (answer === 'wrong') return state.live === guess ? [] : last(state);
  return state.live === guess ? last({ ...state, live: null, expiresAt: null, failureCount: 0, retryAt: null }) : [];
}

function isWithin(instant: number, [earliest, latest]: Between): boolean {
  return instant >= earliest && instant <= latest;
}

function last(state: TokenState): Step<TokenState>[] {
  return [{ state, done: null }];
}
