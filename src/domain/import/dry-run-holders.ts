/** The accounts that would hold identifiers after the rows that a dry run has read. */
import type { App } from '../../app/app.js';
import type { Database } from '../../database/database.js';
import {
  type DryRunHolders,
  findDryRunHolders,
  findHolders,
  type Holder,
  type IdentifierClaim,
  recordDryRunHolders,
} from '../../database/import.queries.js';
import { addressKinds, type IdentifierKind, identifierKinds } from '../identifiers.js';
import { toClaim } from './collisions.js';
import { type Candidate, type ChangedUser, isVouchedFor, unverifiedStateOf } from './imported-user.js';

export interface DryRunEntry {
  candidate: Candidate;
  /** null for a new user */
  changedUser: ChangedUser | null;
}

/** The holders of the identifiers of a batch. */
export interface HolderMap {
  own(candidate: Candidate, field: IdentifierKind): Holder | undefined;
  others(candidate: Candidate, field: IdentifierKind): Holder[];
  /** Gives identifiers to a user. Ends other claims as an import does. */
  claim(entry: DryRunEntry, fields: IdentifierKind[]): void;
  /** Keeps the holders for later batches. */
  save(): Promise<void>;
}

export async function loadHolders(app: App, tx: Database, entries: DryRunEntry[]): Promise<HolderMap> {
  // Computed once: an address has a keyed digest as its claim.
  const claims = new Map(
    entries.map(({ candidate }) => {
      const fields = identifierKinds.filter((field) => candidate.identifiers[field] !== undefined);
      return [candidate, new Map(fields.map((field) => [field, toClaim(app, candidate, field)]))];
    }),
  );
  const rows = await readHolders(
    tx,
    [...claims.values()].flatMap((byField) => [...byField.values()]),
  );
  const rowOf = (candidate: Candidate, field: IdentifierKind) => {
    const claim = claims.get(candidate)?.get(field);
    return (claim && rows.get(toKey(claim))) ?? { holders: [] };
  };
  const own: HolderMap['own'] = (candidate, field) =>
    rowOf(candidate, field).holders.find(({ importedId }) => importedId === candidate.importedId);
  const others: HolderMap['others'] = (candidate, field) =>
    rowOf(candidate, field).holders.filter(({ importedId }) => importedId !== candidate.importedId);
  return {
    own,
    others,
    claim({ candidate, changedUser }, fields) {
      const { importedId, user, identifiers } = candidate;
      const claimed = Object.fromEntries(fields.map((field) => [field, identifiers[field]]));
      const reserves = changedUser?.reserves ?? true;
      const unverified = reserves ? unverifiedStateOf({ user, identifiers: claimed }) : 'pending';
      for (const field of fields) {
        const isVerified = field === 'username' || isVouchedFor(user, field);
        const state = isVerified ? 'verified' : (own(candidate, field)?.state ?? unverified);
        const holder: Holder = { userId: changedUser?.userId ?? null, importedId, state };
        const pending = isVerified ? [] : others(candidate, field);
        rowOf(candidate, field).holders = state === 'pending' ? [...pending, holder] : [holder, ...pending];
      }
      // An account that is owned or inactive reserves nothing.
      for (const holder of addressKinds.map((kind) => own(candidate, kind)))
        if (unverified === 'pending' && holder?.state === 'reserved') holder.state = 'pending';
    },
    save: () => recordDryRunHolders(tx, [...rows.values()]),
  };
}

async function readHolders(tx: Database, claims: IdentifierClaim[]): Promise<Map<string, DryRunHolders>> {
  const rows = new Map(claims.map((claim): [string, DryRunHolders] => [toKey(claim), { ...claim, holders: [] }]));
  const known = new Map((await findDryRunHolders(tx, [...rows.values()])).map((row) => [toKey(row), row]));
  const unknown = [...rows.values()].filter((claim) => !known.has(toKey(claim)));
  for (const { kind, key, ...holder } of await findHolders(tx, unknown))
    rows.get(toKey({ kind, key }))?.holders.push(holder);
  return new Map([...rows, ...known]);
}

function toKey({ kind, key }: IdentifierClaim): string {
  return `${kind} ${key}`;
}
