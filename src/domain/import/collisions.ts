/** Identifiers that another user of the source, or an account here, already holds. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import { findHolders, type Holder, type IdentifierClaim } from '../../database/import.queries.js';
import { computeTokenId } from '../authenticators/registry.js';
import { ValidationError } from '../errors.js';
import { type AddressKind, type Identifier, type IdentifierKind, identifierKinds } from '../identifiers.js';
import { endOtherClaims } from '../ownership/verification.js';
import type { Candidate, ImportProblem } from './imported-user.js';

/** Returns an identifier that the candidate must have. */
function getIdentifier({ identifiers }: Candidate, field: IdentifierKind): Identifier {
  const identifier = identifiers[field];
  if (identifier === undefined) throw new Error(`The candidate has no ${field}.`);
  return identifier;
}

/** Returns the claim by which an identifier of the candidate is looked up. */
export function toClaim(app: App, candidate: Candidate, field: IdentifierKind): IdentifierClaim {
  const { key } = getIdentifier(candidate, field);
  return { kind: field, key: field === 'username' ? key : computeTokenId(app, { kind: field, key }) };
}

/**
 * Returns the identifiers that a validation error reports as taken.
 * @throws {unknown} any other error
 */
export function takenFields(error: unknown): IdentifierKind[] {
  const fields =
    error instanceof ValidationError
      ? identifierKinds.filter((name) => error.issues.some(({ field, code }) => field === name && code === 'TAKEN'))
      : [];
  if (fields.length === 0) throw error;
  return fields;
}

/** Sorts problems of one user by field, as the dry run reports them. */
export function byField(problems: ImportProblem[]): ImportProblem[] {
  const order: readonly (string | null)[] = identifierKinds;
  return problems.toSorted((one, other) => order.indexOf(one.field) - order.indexOf(other.field));
}

/**
 * Ends unverified claims of other accounts to an address that the source vouches for.
 * @returns the accounts that lost the address
 */
export async function endUnverifiedClaims(
  tx: Database,
  { tokenId, kind, userId }: { tokenId: string; kind: AddressKind; userId: string },
): Promise<Holder[]> {
  const holders = await findHolders(tx, [{ kind, key: tokenId }]);
  const losers = holders.filter((holder) => holder.userId !== userId && holder.state !== 'verified');
  if (losers.length > 0) await endOtherClaims(tx, { id: tokenId, kind }, userId);
  return losers;
}

export async function describeTaken(
  app: App,
  candidate: Candidate,
  field: IdentifierKind,
  source: string,
): Promise<ImportProblem> {
  const holders = await findHolders(app.db, [toClaim(app, candidate, field)]);
  const holder = holders.find(({ state }) => state !== 'pending');
  return takenProblem(candidate, field, holder, source);
}

/** @param holder the account with the identifier; undefined if it has given it up meanwhile */
export function takenProblem(
  candidate: Candidate,
  field: IdentifierKind,
  holder: Holder | undefined,
  source: string,
): ImportProblem {
  const { what, ...facts } = describeClaim(candidate, field, holder?.importedId ?? null, source);
  const whose = facts.holder === null ? 'an account of this service' : `user ${facts.holder} of the source`;
  return { ...facts, code: 'TAKEN', message: `This ${what} is already in use by ${whose}.` };
}

/** @param loser the account that held the address unverified, and lost it to the candidate */
export function claimEndedProblem(
  candidate: Candidate,
  field: IdentifierKind,
  loser: Holder,
  source: string,
): ImportProblem {
  const { what, ...facts } = describeClaim(candidate, field, loser.importedId, source);
  const whose =
    facts.holder === null ? `Account ${loser.userId} of this service` : `User ${facts.holder} of the source`;
  const message = `This ${what} is verified in the source. ${whose} held it unverified and lost it.`;
  return { ...facts, code: 'CLAIM_ENDED', message };
}

/** @param importedId of the other account; null if it was not imported */
function describeClaim(candidate: Candidate, field: IdentifierKind, importedId: string | null, source: string) {
  const prefix = `${source}:`;
  const holder = importedId?.startsWith(prefix) ? importedId.slice(prefix.length) : null;
  const { user } = candidate;
  const { value } = getIdentifier(candidate, field);
  const what = value === user[field] ? field : `${field}, normalised to ${value},`;
  return { id: user.id, field, value: user[field] ?? value, holder, what };
}
