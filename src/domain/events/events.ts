/**
 * Events: one typed fact for each thing that happened to an account.
 * The transaction that makes it true emits it, so neither is ever stored without the other.
 */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import type { OneTimePasswordPurpose, SessionRow } from '../../database/schema.js';
import type { User } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import type { AddressKind } from '../identifiers.js';

type Session = Pick<SessionRow, 'id' | 'userId'>;

export type RevocationReason =
  | 'address proved by its owner'
  | 'changed where the account was imported from'
  | 'deactivated'
  | 'password changed'
  | 'password reset'
  | 'password set'
  | 'revoked by a superuser'
  | 'revoked by another session'
  | 'user deleted';

/** A `user` is as the transaction leaves it, and a deleted one as it was before. */
export type IdentityEvent =
  /** `session`: null where a signed-in caller made the account */
  | { type: 'signed-up'; user: User; session: Session | null }
  | { type: 'superuser-created'; user: User; by: 'bootstrap secret' | 'by a superuser' | 'command line' }
  /** `newDevice`: the user has signed in before, but not from this device. `byReset`: the sign-in completes a password reset. */
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
  | { type: 'password-reset'; user: User; securityTokenId: string }
  | { type: 'password-removed'; userId: string }
  | { type: 'identifiers-changed'; fields: readonly string[]; before: User; user: User }
  /** A verified address has taken the place of the previous one. */
  | { type: 'address-replaced'; kind: AddressKind; previous: string | null; user: User }
  | { type: 'activation-changed'; userId: string; isActive: boolean }
  | { type: 'role-changed'; userId: string; role: 'isStaff' | 'isSuperuser'; granted: boolean }
  | { type: 'user-deleted'; user: User }
  | { type: 'session-revoked'; session: Session; reason: 'revoked' | 'signed out' }
  | { type: 'sessions-revoked'; userId: string; count: number; reason: RevocationReason }
  | { type: 'refresh-token-reused'; user: User; session: SessionRow };

/** The events of one transaction, in their order, and who caused them. */
export interface EventBatch {
  /** null on the command line */
  actor: Actor | null;
  events: readonly IdentityEvent[];
}

const collectors = new WeakMap<Database, IdentityEvent[]>();

/**
 * Runs a transaction in which {@link emit} works. Subscribers add their rows before the commit, and do the rest after it.
 * A transaction that rolls back has emitted nothing.
 * @param actor null on the command line
 */
export async function transact<T>(app: App, actor: Actor | null, work: (tx: Database) => Promise<T>): Promise<T> {
  const events: IdentityEvent[] = [];
  const batch: EventBatch = { actor, events };
  const result = await app.db.transaction(async (tx) => {
    collectors.set(tx, events);
    const result = await work(tx);
    // An event that comes later would be lost, so it throws.
    collectors.delete(tx);
    if (events.length > 0) for (const subscriber of app.subscribers) await subscriber.beforeCommit?.(tx, batch);
    return result;
  });
  if (events.length > 0) for (const subscriber of app.subscribers) subscriber.afterCommit?.(app, batch);
  return result;
}

/**
 * Notes an event, for the subscribers to handle.
 * @param tx the transaction that makes it true, opened by {@link transact}
 */
export function emit(tx: Database, event: IdentityEvent): void {
  const events = collectors.get(tx);
  if (events === undefined) throw new Error(`The event ${event.type} was emitted outside of transact().`);
  events.push(event);
}

/** Emits that sessions of a user were revoked, if there were any. */
export function emitRevocations(
  tx: Database,
  { userId, count, reason }: { userId: string; count: number; reason: RevocationReason },
): void {
  if (count > 0) emit(tx, { type: 'sessions-revoked', userId, count, reason });
}
