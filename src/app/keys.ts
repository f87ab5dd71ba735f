/**
 * The keys of the service: reads them from the database, creates missing keys, and rotates signing
 * keys by age.
 */
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

/**
 * Keys by purpose. Most derive from the root key, so they survive a replacement of `SECRET_KEY`.
 */
export interface Keys {
  securityTokenIds: Buffer;
  oneTimePasswords: Buffer;
  throttles: Buffer;
  refreshTokens: Buffer;
  imports: Buffer;
  outbox: { id: string; bytes: Buffer };
  accessTokens(): AccessTokenKeys;
  /**
   * Reloads the access token keys, and creates a key if the newest is too old. Runs every minute.
   */
  refresh(): Promise<void>;
  close(): void;
}

export interface AccessTokenKeys {
  signing: SigningKey;
  /** the published keys, including the signing key */
  verification: VerificationKey[];
}

/** The age of a key at its first signature. It exceeds the cache lifetime of the published keys. */
const preActivationSeconds = 3_600;
/** The time for which a key signs. */
const signingSeconds = 86_400;
/**
 * The time that a key stays published after its last token expired, for verifiers with slow clocks.
 */
const leewaySeconds = 300;
const refreshMilliseconds = 60_000;

/**
 * Reads the keys, creates missing keys, and refreshes them every minute until `close`.
 * @throws {UnknownKeyError} if no configured secret can decrypt a key
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

/** Creates missing keys and deletes retired keys. Takes the lock only for a change. */
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
  // Re-encrypt keys of an outgoing SECRET_KEY, so the operator can remove it.
  const outdated = rows.filter(({ encryptedKey }) => !encrypter.isCurrent(encryptedKey));
  const any = needsRoot || needsSigningKey || retired.length > 0 || outdated.length > 0;
  return { any, needsRoot, needsSigningKey, retired, outdated };
}

function getRootKey(rows: KeyRow[]): KeyRow {
  const root = rows.find(({ purpose }) => purpose === 'root');
  if (root === undefined) throw new Error('the database holds no root key');
  return root;
}

/** Lists the access token keys, oldest first. */
function listAccessTokenKeys(rows: KeyRow[]): KeyRow[] {
  return rows.filter(({ purpose }) => purpose === 'access-token');
}

/** Returns the newest key that was published for at least an hour, or the only key. */
function getSigningKey(rows: KeyRow[]): KeyRow {
  const keys = listAccessTokenKeys(rows);
  const signing = keys.findLast(({ ageSeconds }) => ageSeconds >= preActivationSeconds) ?? keys[0];
  if (signing === undefined) throw new Error('the database holds no key of access tokens');
  return signing;
}

/** Returns the keys before the signing key, once their last token has expired. */
function findRetiredKeys(rows: KeyRow[], accessTokenTtlSeconds: number): KeyRow[] {
  const keys = listAccessTokenKeys(rows);
  if (keys.length < 2) return [];
  const signing = getSigningKey(rows);
  // Replicas refresh at different times, so the previous key may sign for up to two more intervals.
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
      `The keys in this database were ${error.message}. Configure the SECRET_KEY of its first start (outside production it is in DATA_DIR).`,
    );
  }
}
