/** Names the secrets of the configuration, and generates missing secrets outside production. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../startup-error.js';

/** A secret, and the short ID that encrypted values contain. */
export interface NamedSecret {
  id: string;
  bytes: Buffer;
}

/** Names each secret by its digest. @param secrets the current secret first, at least one */
export function nameSecrets(secrets: readonly Buffer[]): readonly [NamedSecret, ...NamedSecret[]] {
  const [first, ...rest] = secrets.map((bytes) => ({
    id: createHash('sha256').update(bytes).digest('hex').slice(0, 8),
    bytes,
  }));
  if (first === undefined) throw new Error('a list of secrets is never empty');
  return [first, ...rest];
}

/**
 * Reads a generated secret from the folder. The first call creates it.
 * @throws {ConfigError} if the folder is unusable, or if the secret is shorter than 32 bytes
 */
export function readGeneratedSecret(dataDir: string, name: string): Buffer {
  const path = join(dataDir, name);
  let bytes: Buffer;
  try {
    if (!existsSync(path)) createSecret(dataDir, path);
    bytes = Buffer.from(readFileSync(path, 'utf8'), 'base64');
  } catch (error) {
    throw new ConfigError([
      `DATA_DIR cannot store generated secrets: ${error instanceof Error ? error.message : error}`,
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
    // A link is atomic: of two starting processes, one creates the secret and the other reads it.
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    unlinkSync(draft);
  }
}
