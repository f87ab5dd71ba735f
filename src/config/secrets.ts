/** The secrets of the configuration: their names, and those that are generated outside production. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../startup-error.js';

/** A secret and the short name that stored values remember it by. */
export interface NamedSecret {
  id: string;
  bytes: Buffer;
}

/** Names each secret by its digest. @param secrets the current one first, at least one */
export function nameSecrets(secrets: readonly Buffer[]): readonly [NamedSecret, ...NamedSecret[]] {
  const [first, ...rest] = secrets.map((bytes) => ({
    id: createHash('sha256').update(bytes).digest('hex').slice(0, 8),
    bytes,
  }));
  if (first === undefined) throw new Error('a list of secrets is never empty');
  return [first, ...rest];
}

/**
 * Reads the generated secret of that name in the folder. The first call creates it.
 * @throws {ConfigError} where the folder cannot be used, or where the secret is shorter than 32 bytes
 */
export function readGeneratedSecret(dataDir: string, name: string): Buffer {
  const path = join(dataDir, name);
  let bytes: Buffer;
  try {
    if (!existsSync(path)) createSecret(dataDir, path);
    bytes = Buffer.from(readFileSync(path, 'utf8'), 'base64');
  } catch (error) {
    throw new ConfigError([
      `DATA_DIR cannot keep generated secrets: ${error instanceof Error ? error.message : error}`,
    ]);
  }
  if (bytes.length < 32) throw new ConfigError([`the generated secret in ${path} is damaged`]);
  return bytes;
}

function createSecret(dataDir: string, path: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  try {
    // A link is made whole or not at all, so of two starting processes one wins and the other reads what it wrote.
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    unlinkSync(draft);
  }
}
