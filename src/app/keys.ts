/** The service's keys: read from the database, made where they are missing, those of access tokens replaced by age. Belongs to `app.ts`. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Database } from '../database/database.js';
import { deleteKeys, findKeys, insertKey, type KeyRow, updateSealedKey } from '../database/keys.queries.js';
import { acquireLock } from '../database/locks.js';
import {
  importSigningKey,
  importVerificationKey,
  newSigningKey,
  type SigningKey,
  type VerificationKey,
} from '../security/access-tokens.js';
import { SealedByAnotherKeyError, type Sealer } from '../security/encryption.js';
import { deriveKey } from '../security/hmac.js';
import { randomToken } from '../security/random.js';

/** Keys by purpose. All but those of access tokens are derived from one that the database keeps sealed, so that they outlive a replacement of `SECRET_KEY`. */
export interface Keys {
  securityTokenIds: Buffer;
  oneTimePasswords: Buffer;
  throttles: Buffer;
  refreshTokens: Buffer;
  imports: Buffer;
  outbox: { id: string; bytes: Buffer };
  accessTokens(): AccessTokenKeys;
  /** Looks again at those of access tokens, and replaces the one that signs where it is old. Done every minute by itself. */
  refresh(): Promise<void>;
  close(): void;
}

export interface AccessTokenKeys {
  signing: SigningKey;
  /** verify, and are published; the signing one's is among them */
  verification: VerificationKey[];
}

/** How old a key is when it begins to sign: longer than anybody keeps a copy of what is published. */
const publishedBeforeSeconds = 3_600;
/** How long it signs. */
const signingSeconds = 86_400;
/** How much longer than the last token that it signed a key stays published, for verifiers whose clocks are late. */
const leewaySeconds = 300;
const refreshMilliseconds = 60_000;

export async function openKeys(
  db: Database,
  sealer: Sealer,
  { accessTokenTtlSeconds, log }: { accessTokenTtlSeconds: number; log: Logger },
): Promise<Keys> {
  const load = async () => {
    const rows = await keepKeys(db, sealer, accessTokenTtlSeconds);
    return { rows, accessTokens: await importAccessTokenKeys(sealer, rows) };
  };
  let { rows, accessTokens } = await load();
  const root = openKey(sealer, rows.find(({ purpose }) => purpose === 'root')!);
  const refresh = async () => {
    ({ rows, accessTokens } = await load());
  };
  const timer = setInterval(() => {
    refresh().catch((error) => log.warn({ err: error }, 'could not look at the keys'));
  }, refreshMilliseconds).unref();
  return {
    securityTokenIds: deriveKey(root, 'security-token-ids'),
    oneTimePasswords: deriveKey(root, 'one-time-passwords'),
    throttles: deriveKey(root, 'throttles'),
    refreshTokens: deriveKey(root, 'refresh-tokens'),
    imports: deriveKey(root, 'imports'),
    outbox: { id: '00000000', bytes: deriveKey(root, 'outbox') },
    accessTokens: () => accessTokens,
    refresh,
    close: () => clearInterval(timer),
  };
}

/** Makes the database hold the keys that it should, and gives them. Only where something is to be done do the replicas wait for each other. */
async function keepKeys(db: Database, sealer: Sealer, accessTokenTtlSeconds: number): Promise<KeyRow[]> {
  const isDue = (rows: KeyRow[]) => {
    const newest = accessTokenKeysOf(rows).at(-1);
    return {
      root: !rows.some(({ purpose }) => purpose === 'root'),
      accessTokenKey: newest === undefined || newest.ageSeconds >= signingSeconds,
      dead: deadKeysOf(rows, accessTokenTtlSeconds),
      // What an outgoing SECRET_KEY sealed is sealed anew, so that the old one can be taken off the list.
      resealed: rows.filter(({ sealedKey }) => !sealer.isCurrent(sealedKey)),
    };
  };
  const isDone = ({ root, accessTokenKey, dead, resealed }: ReturnType<typeof isDue>) =>
    !root && !accessTokenKey && dead.length === 0 && resealed.length === 0;
  const found = await findKeys(db);
  if (isDone(isDue(found))) return found;

  return db.transaction(async (tx) => {
    await acquireLock(tx, 'keys');
    const current = await findKeys(tx);
    const { root, accessTokenKey, dead, resealed } = isDue(current);
    if (root) {
      const sealedKey = sealer.seal(Buffer.from(randomToken(32), 'base64url'));
      await insertKey(tx, { id: randomUUID(), purpose: 'root', sealedKey, publicJwk: null });
    }
    if (accessTokenKey) {
      const id = randomUUID();
      const { pkcs8, publicJwk } = await newSigningKey(id);
      const sealedKey = sealer.seal(Buffer.from(pkcs8));
      await insertKey(tx, { id, purpose: 'access-token', sealedKey, publicJwk: publicJwk as Record<string, string> });
    }
    for (const row of resealed) await updateSealedKey(tx, row.id, sealer.seal(openKey(sealer, row)));
    await deleteKeys(
      tx,
      dead.map(({ id }) => id),
    );
    return findKeys(tx);
  });
}

/** The oldest first. */
function accessTokenKeysOf(rows: KeyRow[]): KeyRow[] {
  return rows.filter(({ purpose }) => purpose === 'access-token');
}

/** The newest that everybody has had the time to learn of; at the first start there is only one. */
function signingKeyOf(rows: KeyRow[]): KeyRow {
  const keys = accessTokenKeysOf(rows);
  return keys.findLast(({ ageSeconds }) => ageSeconds >= publishedBeforeSeconds) ?? keys[0]!;
}

/** Those before the one that signs, once the last token that they can have signed is dead. */
function deadKeysOf(rows: KeyRow[], accessTokenTtlSeconds: number): KeyRow[] {
  const keys = accessTokenKeysOf(rows);
  if (keys.length < 2) return [];
  const signing = signingKeyOf(rows);
  // Every replica looks at the keys once a refresh, so the one before may sign for that much longer.
  const stillUsed = publishedBeforeSeconds + accessTokenTtlSeconds + leewaySeconds + (2 * refreshMilliseconds) / 1000;
  return signing.ageSeconds < stillUsed ? [] : keys.slice(0, keys.indexOf(signing));
}

async function importAccessTokenKeys(sealer: Sealer, rows: KeyRow[]): Promise<AccessTokenKeys> {
  const signing = signingKeyOf(rows);
  return {
    signing: await importSigningKey(signing.id, openKey(sealer, signing).toString()),
    verification: await Promise.all(
      accessTokenKeysOf(rows).map(({ id, publicJwk }) => importVerificationKey(id, publicJwk!)),
    ),
  };
}

function openKey(sealer: Sealer, { sealedKey }: KeyRow): Buffer {
  try {
    return sealer.open(sealedKey);
  } catch (error) {
    if (!(error instanceof SealedByAnotherKeyError)) throw error;
    throw new SealedByAnotherKeyError(
      `The keys in this database were ${error.message}. Give the SECRET_KEY that it was first used with (outside production it is in DATA_DIR).`,
    );
  }
}
