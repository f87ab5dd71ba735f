/** Identifiers that another user of the source, or an account here, already holds. */
import type { App } from '../../app/app.js';
import { findHolders, type IdentifierClaim } from '../../database/import.queries.js';
import { computeTokenId } from '../authenticators/registry.js';
import { ValidationError } from '../errors.js';
import { type Identifier, type IdentifierKind, identifierKinds } from '../identifiers.js';
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

/**
 * Returns identifiers that other users of the same source hold here.
 * The first keeps it, even where a new account would be allowed to claim it.
 */
export async function findConflictingFields(app: App, candidate: Candidate, source: string): Promise<IdentifierKind[]> {
  const fields = identifierKinds.filter((field) => candidate.identifiers[field] !== undefined);
  const holders = await findHolders(
    app.db,
    fields.map((field) => toClaim(app, candidate, field)),
  );
  return fields.filter((field) =>
    holders.some(
      ({ kind, importedId }) =>
        kind === field && importedId !== candidate.importedId && importedId?.startsWith(`${source}:`),
    ),
  );
}

export async function describeTaken(
  app: App,
  candidate: Candidate,
  field: IdentifierKind,
  source: string,
): Promise<ImportProblem> {
  const [holder] = await findHolders(app.db, [toClaim(app, candidate, field)]);
  return takenProblem(candidate, field, { importedId: holder?.importedId ?? null }, source);
}

/** @param holder the account with the identifier; `importedId` is null if it was not imported */
export function takenProblem(
  candidate: Candidate,
  field: IdentifierKind,
  { importedId: holder }: { importedId: string | null },
  source: string,
): ImportProblem {
  const prefix = `${source}:`;
  const holderId = holder?.startsWith(prefix) ? holder.slice(prefix.length) : null;
  const whose = holderId === null ? 'an account of this service' : `user ${holderId} of the source`;
  const { user } = candidate;
  const { value } = getIdentifier(candidate, field);
  const normalised = value === user[field] ? '' : `, normalised to ${value},`;
  return {
    id: user.id,
    field,
    code: 'TAKEN',
    value: user[field] ?? value,
    holder: holderId,
    message: `This ${field}${normalised} is already in use by ${whose}.`,
  };
}
