/**
 * Models a token in a trace by the rules of the original, and optionally by our departures.
 * Without departures it must reproduce the recording. With all departures it is the expected
 * behaviour.
 */
import type { TraceDeparture } from './departures.js';

export type PasswordSymbol =
  | '<correct>'
  | '<wrong>'
  | '<previous>'
  | '<correct> cut'
  | '<correct>+space'
  | '<correct upper>'
  | ''
  | null;

export type TraceOperation =
  | { op: 'generate' }
  | { op: 'check'; password: PasswordSymbol }
  | { op: 'advance'; seconds: number };

export interface Trace {
  token: 'email' | 'phone';
  ops: TraceOperation[];
  about: string;
}

/** The token after a step. Times are in seconds from the start. */
export interface TraceState {
  failure_count: number;
  timeout: number | null;
  verified: boolean;
  expiration: number | null;
}

export interface TraceStep extends TraceState {
  result: boolean | null | 'TimeoutError' | 'BAD_USER_INPUT';
  /** the fields of the `TimeoutError` */
  error_timeout?: number;
  error_failure_count?: number;
}

export const traceLifetimeSeconds = 900;

export function modelTrace({ token, ops }: Trace, departures: ReadonlySet<TraceDeparture['name']>): TraceStep[] {
  let now = 0;
  const verified = departures.has('told-code-verifies-nothing');
  let state: TraceState = { failure_count: 0, timeout: null, verified, expiration: null };
  const unlocked = { failure_count: 0, timeout: null };

  const isRight = (password: PasswordSymbol) =>
    password === '<correct>' ||
    (password === '<correct>+space' && departures.has('entry-forgives')) ||
    // Digits have no case.
    (password === '<correct upper>' && (departures.has('entry-forgives') || token === 'phone'));

  function check(password: PasswordSymbol): Omit<TraceStep, keyof TraceState> {
    if (password === null && departures.has('null-is-no-password')) return { result: 'BAD_USER_INPUT' };
    const { timeout, failure_count, expiration } = state;
    if (timeout !== null && now < timeout)
      return { result: 'TimeoutError', error_timeout: timeout, error_failure_count: failure_count };
    const result = isRight(password) && expiration !== null && now < expiration;
    state = result
      ? { ...unlocked, verified: true, expiration: null }
      : { ...state, failure_count: failure_count + 1, timeout: now + 2 ** failure_count };
    return { result };
  }

  function run(operation: TraceOperation): Omit<TraceStep, keyof TraceState> {
    if (operation.op === 'check') return check(operation.password);
    if (operation.op === 'advance') now += operation.seconds;
    else {
      if (!departures.has('generating-keeps-the-count')) state = { ...state, ...unlocked };
      state = { ...state, expiration: now + traceLifetimeSeconds };
    }
    return { result: null };
  }

  return ops.map((operation) => ({ ...run(operation), ...state }));
}

/**
 * Returns a password as typed. A wrong password is as similar to the right password as possible.
 */
export function typedPassword(symbol: Exclude<PasswordSymbol, null>, kind: Trace['token'], made: string[]): string {
  const neverMade = kind === 'email' ? 'BCDF2345' : '012345';
  const correct = made.at(-1) ?? neverMade;
  switch (symbol) {
    case '<correct>':
      return correct;
    case '<wrong>':
      return correct.slice(0, -1) + (correct.endsWith('2') ? '3' : '2');
    case '<previous>':
      return made.at(-2) ?? neverMade;
    case '<correct> cut':
      return correct.slice(0, -1);
    case '<correct>+space':
      return `${correct} `;
    case '<correct upper>':
      // Our passwords have upper-case letters, so the other case is equivalent.
      return correct.toLowerCase();
    case '':
      return '';
  }
}

/** The minimum distance of a step from a boundary. */
export const boundaryDistanceSeconds = 0.25;

/**
 * Moves steps that were recorded a microsecond before a boundary to a quarter of a second before
 * it.
 * A request takes milliseconds, so no step can be closer.
 */
export function coarsen(trace: Trace): Trace {
  let owed = 0;
  return {
    ...trace,
    ops: trace.ops.map((operation) => {
      if (operation.op !== 'advance') return operation;
      const due = operation.seconds + owed;
      const seconds = Math.floor(due / boundaryDistanceSeconds + 1e-9) * boundaryDistanceSeconds;
      owed = due - seconds;
      return { ...operation, seconds };
    }),
  };
}
