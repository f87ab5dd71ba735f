/**
 * Models the tokens of a user with changing addresses by the rules of the original, and optionally
 * by our departures.
 * Without departures it must reproduce the recording. With all departures it is the expected
 * behaviour.
 */
import {
  type ChangeDeparture,
  canonicalEmail,
  e164,
  hasMoreThanANumber,
  type Identifiers,
  keyOf,
} from './departures.js';
import { type PasswordSymbol, type TraceState, traceLifetimeSeconds } from './trace-model.js';

export type Kind = 'email' | 'phone';
export const kinds = ['email', 'phone'] as const;

export type Change =
  | { op: 'generate'; token: Kind }
  | { op: 'check'; token: Kind; password: Extract<PasswordSymbol, '<correct>' | '<wrong>'> }
  | { op: 'advance'; seconds: number }
  | { op: 'set'; values: Identifiers; how: string; update_fields?: (keyof Identifiers)[] }
  | { op: 'delete' };

export interface Changes {
  user: Identifiers;
  ops: Change[];
  about: string;
}

export interface ChangeStep {
  result: unknown;
  user: Required<Identifiers> | null;
  /** A pending address, which replaces the verified address once it is verified. */
  pending: Record<Kind, string | null>;
  /** The verification of the most recent address. */
  tokens: Record<Kind, TraceState | null>;
}

/** Normalises a value. @returns null if it is invalid */
function stored(kind: keyof Identifiers, typed: string, refusesExtensions: boolean): string | null {
  if (kind === 'username') return typed;
  if (kind === 'email') return /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(typed) ? canonicalEmail(typed) : null;
  return refusesExtensions && hasMoreThanANumber(typed) ? null : e164(typed);
}

/** Reads the new value of each field, or its error. */
function read({ values, how }: Extract<Change, { op: 'set' }>, departures: ReadonlySet<ChangeDeparture['name']>) {
  const issues: Record<string, string[]> = {};
  const changes = new Map<keyof Identifiers, string | null>();
  for (const [field, typed] of Object.entries(values) as [keyof Identifiers, string | null][]) {
    const form = typed === null ? null : stored(field, typed, departures.has('phone-is-one-number'));
    const isChecked = how === 'full_clean' || departures.has('one-door');
    if (typed !== null && isChecked && form === null) issues[field] = [typed === '' ? 'BLANK' : 'INVALID'];
    // The phone field of the original normalises what it can.
    changes.set(field, isChecked ? form : field === 'phone' && typed !== null ? (form ?? typed) : typed);
  }
  return { issues, changes };
}

export function modelChanges({ user, ops }: Changes, departures: ReadonlySet<ChangeDeparture['name']>): ChangeStep[] {
  let now = 0;
  let account: Required<Identifiers> | null = { username: null, email: null, phone: null, ...user };
  const pending: ChangeStep['pending'] = { email: null, phone: null };
  const verified = { email: false, phone: false };
  const expiration: Record<Kind, number | null> = { email: null, phone: null };
  const throttles = new Map<string, { failure_count: number; timeout: number | null }>();
  /** A change of the address without its token, or of the token without its user. */
  const hasToken = { email: account.email !== null, phone: account.phone !== null };

  const throttleKey = (kind: Kind) =>
    departures.has('counters-belong-to-the-address') ? keyOf(kind, pending[kind] ?? account?.[kind])! : kind;
  const throttleOf = (kind: Kind) => throttles.get(throttleKey(kind)) ?? { failure_count: 0, timeout: null };
  const isSame = (kind: Kind, one: string | null, other: string) =>
    one !== null && (departures.has('email-without-case') ? keyOf(kind, one) === keyOf(kind, other) : one === other);

  function check(kind: Kind, password: PasswordSymbol): unknown {
    const { failure_count, timeout } = throttleOf(kind);
    if (timeout !== null && now < timeout) return 'TimeoutError';
    const key = throttleKey(kind);
    if (password !== '<correct>' || expiration[kind] === null || now >= expiration[kind]) {
      throttles.set(key, { failure_count: failure_count + 1, timeout: now + 2 ** failure_count });
      return false;
    }
    throttles.delete(key);
    expiration[kind] = null;
    verified[kind] = true;
    if (pending[kind] !== null) account = { ...account!, [kind]: pending[kind] };
    pending[kind] = null;
    return true;
  }

  function remove(kind: Kind): void {
    hasToken[kind] = false;
    pending[kind] = null;
    verified[kind] = false;
    expiration[kind] = null;
    if (!departures.has('counters-belong-to-the-address')) throttles.delete(kind);
  }

  function changeToken(kind: Kind, address: string | null): void {
    if (address === null) {
      remove(kind);
      return;
    }
    const current = account![kind];
    if (isSame(kind, current, address)) return;
    hasToken[kind] = true;
    expiration[kind] = null;
    if (departures.has('verified-address-stays') && verified[kind]) pending[kind] = address;
    else verified[kind] = false;
  }

  function set(change: Extract<Change, { op: 'set' }>): unknown {
    const { issues, changes } = read(change, departures);
    if (Object.keys(issues).length > 0) return { issues };
    const isSaved = (field: keyof Identifiers) =>
      change.how !== 'update_fields' || change.update_fields!.includes(field);
    for (const [field, value] of changes) {
      if (departures.has('one-door') && !isSaved(field)) continue;
      if (field !== 'username' && (departures.has('one-door') || change.how !== 'queryset')) changeToken(field, value);
      const waits = field !== 'username' && pending[field] !== null;
      if (isSaved(field) && !waits) account = { ...account!, [field]: value };
    }
    return { ok: null };
  }

  function run(change: Change): unknown {
    switch (change.op) {
      case 'advance':
        now += change.seconds;
        return null;
      case 'delete':
        account = null;
        for (const kind of kinds) remove(kind);
        return null;
      case 'set':
        return set(change);
      case 'generate':
        if (!hasToken[change.token]) return 'no token';
        if (!departures.has('generating-keeps-the-count')) throttles.delete(throttleKey(change.token));
        expiration[change.token] = now + traceLifetimeSeconds;
        return null;
      case 'check':
        return hasToken[change.token] ? check(change.token, change.password) : 'no token';
    }
  }

  const state = (result: unknown): ChangeStep => {
    const token = (kind: Kind) =>
      hasToken[kind]
        ? {
            ...throttleOf(kind),
            verified: verified[kind] && pending[kind] === null,
            expiration: expiration[kind],
          }
        : null;
    return {
      result,
      user: account && { ...account },
      pending: { ...pending },
      tokens: { email: token('email'), phone: token('phone') },
    };
  };
  return [state(null), ...ops.map((change) => state(run(change)))];
}
