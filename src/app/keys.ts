/** The service's keys: read from the database, made where they are missing, and rotated by age where they sign access tokens. */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Database } from '../database/database.js';
import { deleteKeys, findKeys, insertKey, type KeyRow, updateEncryptedKey } from '../database/keys.queries.js';
import { acquireLock } from '../database/locks.js';
import {
  importSigningKey,
  importVerificationKey,
  newSigningKey,
  type SigningKey,
  type VerificationKey,
} from '../security/access-tokens.js';
import { type Encrypter, UnknownKeyError } from '../security/encryption.js';
import { deriveKey } from '../security/hmac.js';
import { randomToken } from '../security/random.js';

/** Keys by purpose. All but those of access tokens are derived from the root key, so they outlive a replacement of `SECRET_KEY`. */
export interface Keys {
  securityTokenIds: Buffer;
  oneTimePasswords: Buffer;
  throttles: Buffer;
  refreshTokens: Buffer;
  imports: Buffer;
  outbox: { id: string; bytes: Buffer };
  accessTokens(): AccessTokenKeys;
  /** Reads the keys of access tokens again, and makes a new one where the newest is old. Runs by itself every minute. */
  refresh(): Promise<void>;
  close(): void;
}

export interface AccessTokenKeys {
  signing: SigningKey;
  /** published; the signing key's is among them */
  verification: VerificationKey[];
}

/** How old a key is when it begins to sign: longer than anybody keeps a copy of what is published. */
const preActivationSeconds = 3_600;
/** How long it signs. */
const signingSeconds = 86_400;
/** How much longer than the last token that it signed a key stays published, for verifiers whose clocks are late. */
const leewaySeconds = 300;
const refreshMilliseconds = 60_000;

/**
 * Reads the keys, makes those that are missing, and refreshes them every minute until `close`.
 * @throws {UnknownKeyError} when none of the secrets has encrypted a key
 */
export async function openKeys(
  db: Database,
  encrypter: Encrypter,
  { accessTokenTtlSeconds, log }: { accessTokenTtlSeconds: number; log: Logger },
): Promise<Keys> {
  const load = async () => {
    const rows = await ensureKeys(db, encrypter, accessTokenTtlSeconds);
    return { rows, accessTokens: await importAccessTokenKeys(encrypter, rows) };
  };
  let { rows, accessTokens } = await load();
  const root = decryptKey(encrypter, getRootKey(rows));
  const refresh = async () => {
    ({ rows, accessTokens } = await load());
  };
  const timer = setInterval(() => {
    refresh().catch((error) => log.warn({ err: error }, 'key refresh failed'));
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

/** Makes the missing keys and deletes the retired ones. Replicas wait for each other only where there is something to do. */
async function ensureKeys(db: Database, encrypter: Encrypter, accessTokenTtlSeconds: number): Promise<KeyRow[]> {
  const found = await findKeys(db);
  if (!planChanges(found, encrypter, accessTokenTtlSeconds).any) return found;
  return db.transaction(async (tx) => {
    await acquireLock(tx, 'keys');
    const changes = planChanges(await findKeys(tx), encrypter, accessTokenTtlSeconds);
    if (changes.needsRoot) {
      const encryptedKey = encrypter.encrypt(Buffer.from(randomToken(32), 'base64url'));
      await insertKey(tx, { id: randomUUID(), purpose: 'root', encryptedKey, publicJwk: null });
    }
    if (changes.needsSigningKey) {
      const id = randomUUID();
      const { pkcs8, publicJwk } = await newSigningKey(id);
      const encryptedKey = encrypter.encrypt(Buffer.from(pkcs8));
      await insertKey(tx, { id, purpose: 'access-token', encryptedKey, publicJwk });
    }
    for (const row of changes.outdated)
      await updateEncryptedKey(tx, row.id, encrypter.encrypt(decryptKey(encrypter, row)));
    await deleteKeys(
      tx,
      changes.retired.map(({ id }) => id),
    );
    return findKeys(tx);
  });
}

function planChanges(rows: KeyRow[], encrypter: Encrypter, accessTokenTtlSeconds: number) {
  const newest = listAccessTokenKeys(rows).at(-1);
  const needsRoot = !rows.some(({ purpose }) => purpose === 'root');
  const needsSigningKey = newest === undefined || newest.ageSeconds >= signingSeconds;
  const retired = findRetiredKeys(rows, accessTokenTtlSeconds);
  // Encrypted with an outgoing SECRET_KEY. Encrypting them anew allows the operator to remove it.
  const outdated = rows.filter(({ encryptedKey }) => !encrypter.isCurrent(encryptedKey));
  const any = needsRoot || needsSigningKey || retired.length > 0 || outdated.length > 0;
  return { any, needsRoot, needsSigningKey, retired, outdated };
}

function getRootKey(rows: KeyRow[]): KeyRow {
  const root = rows.find(({ purpose }) => purpose === 'root');
  if (root === undefined) throw new Error('the database holds no root key');
  return root;
}

/** The oldest first. */
function listAccessTokenKeys(rows: KeyRow[]): KeyRow[] {
  return rows.filter(({ purpose }) => purpose === 'access-token');
}

/** The newest key published for at least an hour. At the first start there is only one. */
function getSigningKey(rows: KeyRow[]): KeyRow {
  const keys = listAccessTokenKeys(rows);
  const signing = keys.findLast(({ ageSeconds }) => ageSeconds >= preActivationSeconds) ?? keys[0];
  if (signing === undefined) throw new Error('the database holds no key of access tokens');
  return signing;
}

/** The keys before the signing one, once the last token that they can have signed has expired. */
function findRetiredKeys(rows: KeyRow[], accessTokenTtlSeconds: number): KeyRow[] {
  const keys = listAccessTokenKeys(rows);
  if (keys.length < 2) return [];
  const signing = getSigningKey(rows);
  // Every replica looks at the keys once a refresh, so the one before may sign for that much longer.
  const stillUsed = preActivationSeconds + accessTokenTtlSeconds + leewaySeconds + (2 * refreshMilliseconds) / 1000;
  return signing.ageSeconds < stillUsed ? [] : keys.slice(0, keys.indexOf(signing));
}

async function importAccessTokenKeys(encrypter: Encrypter, rows: KeyRow[]): Promise<AccessTokenKeys> {
  const signing = getSigningKey(rows);
  return {
    signing: await importSigningKey(signing.id, decryptKey(encrypter, signing).toString()),
    verification: await Promise.all(listAccessTokenKeys(rows).map(toVerificationKey)),
  };
}

async function toVerificationKey({ id, publicJwk }: KeyRow): Promise<VerificationKey> {
  if (publicJwk === null) throw new Error(`the key ${id} of access tokens has no public JWK`);
  return importVerificationKey(id, publicJwk);
}

function decryptKey(encrypter: Encrypter, { encryptedKey }: KeyRow): Buffer {
  try {
    return encrypter.decrypt(encryptedKey);
  } catch (error) {
    if (!(error instanceof UnknownKeyError)) throw error;
    throw new UnknownKeyError(
      `The keys in this database were ${error.message}. Give the SECRET_KEY that it was first used with (outside production it is in DATA_DIR).`,
    );
  }
}
