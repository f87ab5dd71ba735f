/** Assigns identifiers to a user if no other user has them. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { violatedConstraint } from '../../database/postgres-errors.js';
import { releaseUnverifiedAddress } from '../../database/security-tokens.queries.js';
import { findTakenIdentifiers, nilUuid } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { computeTokenId } from '../authenticators/registry.js';
import { unverifiedClaimSeconds } from '../durations.js';
import { throwIfInvalid, type ValidationIssue } from '../errors.js';
import { transact } from '../events/events.js';
import { type Identifier, type IdentifierKind, identifierKinds } from '../identifiers.js';

/**
 * Runs a transaction that writes identifiers. A violated unique constraint becomes `TAKEN`.
 * On a violation, releases unverified addresses of accounts with a verified one, and runs the
 * transaction once more.
 * Only the run that commits emits its events.
 * @param actor null on the command line
 * @param claim `ownId`: the user who may hold the identifiers already
 * @throws {ValidationError} `TAKEN` for each identifier of another user
 */
export async function claimIdentifiers<T>(
  app: App,
  actor: Actor | null,
  { identifiers, ownId = nilUuid }: { identifiers: Identifier[]; ownId?: string },
  work: (tx: Database) => Promise<T>,
): Promise<T> {
  const addresses = identifiers.flatMap(({ kind, key }) =>
    kind === 'username' ? [] : [{ kind, id: computeTokenId(app, { kind, key }) }],
  );
  try {
    return await transact(app, actor, work);
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
  }
  try {
    return await transact(app, actor, async (tx) => {
      for (const { id } of addresses) await releaseUnverifiedAddress(tx, id, unverifiedClaimSeconds);
      return work(tx);
    });
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
    const taken = await findTakenIdentifiers(app.db, {
      username: identifiers.find(({ kind }) => kind === 'username')?.key ?? null,
      emailTokenId: addresses.find(({ kind }) => kind === 'email')?.id ?? null,
      phoneTokenId: addresses.find(({ kind }) => kind === 'phone')?.id ?? null,
      exceptId: ownId,
    });
    throwIfInvalid(identifierKinds.filter((field) => taken[field]).map(takenIssue));
    throw error;
  }
}

function takenIssue(field: IdentifierKind): ValidationIssue {
  const noun = { username: 'username', email: 'email address', phone: 'phone number' }[field];
  return { field, code: 'TAKEN', message: `This ${noun} is already in use.` };
}
