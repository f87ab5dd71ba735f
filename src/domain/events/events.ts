/**
 * Domain events: one typed fact per change of an account.
 * The transaction that makes the change emits the event, so both commit or neither.
 */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { acquireLock, type Lock } from '../../database/locks.js';
import { isDeadlock, violatedConstraint } from '../../database/postgres-errors.js';
import type { OneTimePasswordPurpose, SecurityTokenKind, SessionRow } from '../../database/schema.js';
import { lockLiveSession } from '../../database/sessions.queries.js';
import type { User } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { UnauthenticatedError } from '../errors.js';

export type ChangedField = 'username' | 'email' | 'phone' | 'pendingEmail' | 'pendingPhone';

type Session = Pick<SessionRow, 'id' | 'userId'>;

export type RevocationReason =
  | 'address verified by its owner'
  | 'changed by an import'
  | 'deactivated'
  | 'password changed'
  | 'password reset'
  | 'password set'
  | 'revoked by a superuser'
  | 'revoked by another session'
  | 'user deleted';

/** `user` is the state after the transaction; for a deleted user, the state before. */
export type IdentityEvent =
  /** `session`: null if a signed-in caller created the account */
  | { type: 'signed-up'; user: User; session: Session | null }
  | { type: 'superuser-created'; user: User; by: 'bootstrap secret' | 'by a superuser' | 'command line' }
  /**
   * `newDevice`: the user has signed in before, but not with this device.
   * `byReset`: the sign-in completes a password reset.
   */
  | { type: 'signed-in'; user: User; session: SessionRow; newDevice: boolean; byReset: boolean }
  | {
      type: 'one-time-password-generated';
      userId: string;
      securityTokenId: string;
      purpose: OneTimePasswordPurpose;
    }
  | {
      type: 'one-time-password-accepted';
      userId: string;
      securityTokenId: string;
      purpose: OneTimePasswordPurpose;
      sessionId: string;
    }
  | { type: 'security-token-unlocked'; userId: string; securityTokenId: string }
  | { type: 'password-changed'; user: User }
  /** by a superuser or on the command line */
  | { type: 'password-set'; user: User }
  /** `dropped`: kinds of the addresses that were too young to keep */
  | { type: 'password-reset'; before: User; user: User; securityTokenId: string; dropped: SecurityTokenKind[] }
  | { type: 'password-removed'; userId: string }
  | { type: 'identifiers-changed'; fields: readonly ChangedField[]; before: User; user: User }
  | { type: 'address-verified'; kind: SecurityTokenKind; securityTokenId: string; before: User; user: User }
  /** Another account verified the address. */
  | { type: 'address-lost'; kind: SecurityTokenKind; securityTokenId: string; userId: string }
  /** The first correct code to a reserved address: what came before was dropped. */
  | { type: 'ownership-proven'; userId: string; securityTokenId: string }
  | { type: 'reauthenticated'; userId: string; sessionId: string }
  | { type: 'activation-changed'; userId: string; isActive: boolean }
  | { type: 'role-changed'; before: User; role: 'isStaff' | 'isSuperuser'; granted: boolean }
  | { type: 'user-deleted'; user: User }
  | { type: 'session-revoked'; session: Session; reason: 'revoked' | 'signed out' }
  | { type: 'sessions-revoked'; userId: string; count: number; reason: RevocationReason }
  | { type: 'refresh-token-reused'; user: User; session: SessionRow };

/** The events of one transaction, in order, and their caller. */
export interface EventBatch {
  /** null on the command line */
  actor: Actor | null;
  events: readonly IdentityEvent[];
}

const collectors = new WeakMap<Database, IdentityEvent[]>();

export interface TransactOptions {
  /** acquired before every row lock */
  lock?: Lock | undefined;
  /** runs the transaction again after a violated constraint: another one took the address first */
  retriesConflicts?: boolean;
}

/** Each conflict and each deadlock ends with one transaction less, so few runs suffice. */
const maxRuns = 5;

/**
 * Runs a transaction in which {@link emit} works. Subscribers add rows before the commit, and do
 * the rest after it. A transaction that rolls back emits nothing.
 * Locks the session of a signed-in caller, so that a revoked session changes nothing, however long
 * its request was under way. Runs again after a deadlock.
 * @param actor null on the command line
 * @throws {UnauthenticatedError} if the session of the caller has ended
 */
export async function transact<T>(
  app: App,
  actor: Actor | null,
  work: (tx: Database) => Promise<T>,
  options: TransactOptions = {},
): Promise<T> {
  for (let run = 1; ; run += 1)
    try {
      return await runTransaction(app, actor, work, options);
    } catch (error) {
      const conflicts = options.retriesConflicts && violatedConstraint(error) !== undefined;
      if (run === maxRuns || !(conflicts || isDeadlock(error))) throw error;
    }
}

async function runTransaction<T>(
  app: App,
  actor: Actor | null,
  work: (tx: Database) => Promise<T>,
  { lock }: TransactOptions,
): Promise<T> {
  const events: IdentityEvent[] = [];
  const batch: EventBatch = { actor, events };
  const result = await app.db.transaction(async (tx) => {
    collectors.set(tx, events);
    if (lock !== undefined) await acquireLock(tx, lock);
    if (actor !== null && actor.viewer !== null && !(await lockLiveSession(tx, actor.viewer)))
      throw new UnauthenticatedError('The access token is invalid, expired or revoked.');
    const result = await work(tx);
    // Later events would be lost, so emit() throws.
    collectors.delete(tx);
    if (events.length > 0) for (const subscriber of app.subscribers) await subscriber.beforeCommit?.(tx, batch);
    return result;
  });
  if (events.length > 0) for (const subscriber of app.subscribers) subscriber.afterCommit?.(app, batch);
  return result;
}

/**
 * Emits an event for the subscribers.
 * @param tx the transaction that makes the change, opened by {@link transact}
 */
export function emit(tx: Database, event: IdentityEvent): void {
  const events = collectors.get(tx);
  if (events === undefined) throw new Error(`The event ${event.type} was emitted outside of transact().`);
  events.push(event);
}

/** Emits the revocation of a user's sessions, if any were live. */
export function emitRevocations(
  tx: Database,
  { userId, count, reason }: { userId: string; count: number; reason: RevocationReason },
): void {
  if (count > 0) emit(tx, { type: 'sessions-revoked', userId, count, reason });
}
