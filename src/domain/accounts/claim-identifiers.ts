/** Assigns identifiers to a user if no other user has them. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { violatedConstraint } from '../../database/postgres-errors.js';
import { moveLapsedAddresses } from '../../database/security-tokens.queries.js';
import { findTakenIdentifiers, nilUuid } from '../../database/users.queries.js';
import type { Actor } from '../actor.js';
import { computeTokenId } from '../authenticators/registry.js';
import { throwIfInvalid, type ValidationIssue } from '../errors.js';
import { type TransactOptions, transact } from '../events/events.js';
import { type AddressKind, type Identifier, type IdentifierKind, identifierKinds } from '../identifiers.js';

/**
 * Runs a transaction that writes identifiers. A violated unique constraint becomes `TAKEN`.
 * On a violation, moves addresses that reserve nothing out of the way, and runs the transaction
 * once more.
 * Only the run that commits emits its events.
 * @param actor null on the command line
 * @param claim `ownId`: the user who may hold the identifiers already
 * @throws {ValidationError} `TAKEN` for each identifier of another user
 */
export async function claimIdentifiers<T>(
  app: App,
  actor: Actor | null,
  { identifiers, ownId = nilUuid, lock }: { identifiers: Identifier[]; ownId?: string } & TransactOptions,
  work: (tx: Database) => Promise<T>,
): Promise<T> {
  try {
    return await transact(app, actor, work, { lock });
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
  }
  const tokenIds = identifiers.flatMap(({ kind, key }) =>
    kind === 'username' ? [] : [computeTokenId(app, { kind, key })],
  );
  const claim = async (tx: Database) => {
    await moveLapsedAddresses(tx, tokenIds);
    return work(tx);
  };
  try {
    return await transact(app, actor, claim, { lock });
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error;
    await throwIfTaken(app, app.db, identifiers, ownId);
    throw error;
  }
}

/**
 * @param ownId the user who may hold the identifiers already
 * @throws {ValidationError} `TAKEN` for each identifier that another user holds; pending addresses
 * do not count
 */
export async function throwIfTaken(app: App, db: Database, identifiers: Identifier[], ownId: string): Promise<void> {
  const find = (kind: IdentifierKind) => identifiers.find((identifier) => identifier.kind === kind);
  const tokenIdOf = (kind: AddressKind) => {
    const address = find(kind);
    return address === undefined ? null : computeTokenId(app, { kind, key: address.key });
  };
  const taken = await findTakenIdentifiers(db, {
    username: find('username')?.key ?? null,
    emailTokenId: tokenIdOf('email'),
    phoneTokenId: tokenIdOf('phone'),
    exceptId: ownId,
  });
  throwIfInvalid(identifierKinds.filter((field) => taken[field]).map(takenIssue));
}

function takenIssue(field: IdentifierKind): ValidationIssue {
  const noun = { username: 'username', email: 'email address', phone: 'phone number' }[field];
  return { field, code: 'TAKEN', message: `This ${noun} is already in use.` };
}
