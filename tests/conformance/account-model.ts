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
  /** A pending address, which replaces the current one once it is verified. */
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
  /** Live codes. `known`: it is the one that was generated last. `kept`: no change voids it. */
  const codes = new Map<string, { expiration: number; known: boolean; kept: boolean }>();
  const throttles = new Map<string, { failure_count: number; timeout: number | null }>();
  /** A change of the address without its token, or of the token without its user. */
  const hasToken = { email: account.email !== null, phone: account.phone !== null };

  const addressKey = (kind: Kind) => {
    const waits = pending[kind] !== null;
    return `${waits ? 'pending ' : ''}${keyOf(kind, waits ? pending[kind] : account?.[kind])}`;
  };
  const throttleKey = (kind: Kind) => (departures.has('counters-belong-to-the-address') ? addressKey(kind) : kind);
  const throttleOf = (kind: Kind) => throttles.get(throttleKey(kind)) ?? { failure_count: 0, timeout: null };
  const codeKey = (kind: Kind) => (departures.has('changed-address-waits') ? addressKey(kind) : kind);
  const isVerified = (kind: Kind) => verified[kind] && pending[kind] === null;
  const issueCode = (kind: Kind, known: boolean) =>
    codes.set(codeKey(kind), { expiration: now + traceLifetimeSeconds, known, kept: !isVerified(kind) });
  const voidCodes = () => {
    for (const [key, { kept }] of codes) if (!kept) codes.delete(key);
  };
  const isSame = (kind: Kind, one: string | null, other: string) =>
    one !== null && (departures.has('email-without-case') ? keyOf(kind, one) === keyOf(kind, other) : one === other);

  function check(kind: Kind, password: PasswordSymbol): unknown {
    const { failure_count, timeout } = throttleOf(kind);
    if (timeout !== null && now < timeout) return 'TimeoutError';
    const key = throttleKey(kind);
    const code = codes.get(codeKey(kind));
    if (password !== '<correct>' || !code?.known || now >= code.expiration) {
      throttles.set(key, { failure_count: failure_count + 1, timeout: now + 2 ** failure_count });
      return false;
    }
    throttles.delete(key);
    codes.delete(codeKey(kind));
    const wasVerified = isVerified(kind);
    verified[kind] = true;
    if (pending[kind] !== null) account = { ...account!, [kind]: pending[kind] };
    pending[kind] = null;
    if (!wasVerified && departures.has('changed-address-waits')) voidCodes();
    if (departures.has('first-verification-owns')) for (const other of kinds) if (!verified[other]) wait(other);
    return true;
  }

  /** The address of the sign-up waits, because another one has made the account owned. */
  function wait(kind: Kind): void {
    if (account === null || account[kind] === null) return;
    pending[kind] ??= account[kind];
    account = { ...account, [kind]: null };
  }

  function remove(kind: Kind): void {
    hasToken[kind] = false;
    pending[kind] = null;
    verified[kind] = false;
    codes.delete(kind);
    if (!departures.has('counters-belong-to-the-address')) throttles.delete(kind);
  }

  function changeToken(kind: Kind, address: string | null): void {
    if (address === null) {
      remove(kind);
      return;
    }
    const current = account![kind];
    if (isSame(kind, current, address)) {
      pending[kind] = null;
      return;
    }
    hasToken[kind] = true;
    codes.delete(kind);
    if (!departures.has('changed-address-waits')) {
      verified[kind] = false;
      return;
    }
    const isNew = pending[kind] !== address;
    pending[kind] = address;
    if (isNew && departures.has('new-address-gets-a-code')) issueCode(kind, false);
  }

  function set(change: Extract<Change, { op: 'set' }>): unknown {
    const { issues, changes } = read(change, departures);
    if (Object.keys(issues).length > 0) return { issues };
    const before = JSON.stringify([account!.email, account!.phone, pending]);
    const isSaved = (field: keyof Identifiers) =>
      change.how !== 'update_fields' || change.update_fields!.includes(field);
    for (const [field, value] of changes) {
      if (departures.has('one-door') && !isSaved(field)) continue;
      if (field !== 'username' && (departures.has('one-door') || change.how !== 'queryset')) changeToken(field, value);
      const waits = field !== 'username' && pending[field] !== null;
      if (isSaved(field) && !waits) account = { ...account!, [field]: value };
    }
    const isChanged = before !== JSON.stringify([account!.email, account!.phone, pending]);
    if (isChanged && departures.has('changed-address-waits')) voidCodes();
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
        issueCode(change.token, true);
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
            verified: isVerified(kind),
            expiration: codes.get(codeKey(kind))?.expiration ?? null,
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
