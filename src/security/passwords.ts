/** Hashing, verifying and scoring of passwords, in a bounded pool of worker threads: the event loop never hashes. */
import { Piscina } from 'piscina';
import { foreignSchemeOf, type HashFault, readForeignHash } from './foreign-hashes.js';
import type { PasswordScore, PasswordTask } from './password.worker.js';

const scheme = 'bcrypt-hmac-sha384';

type Verification =
  | Omit<Extract<PasswordTask, { task: 'verify' }>, 'password'>
  | Omit<Extract<PasswordTask, { task: 'verify-foreign' }>, 'password'>;

/** The pool has more work than it should keep anyone waiting for. */
export class PasswordPoolBusyError extends Error {
  override readonly name = 'PasswordPoolBusyError';
}

export interface Passwords {
  /** `bcrypt-hmac-sha384$<pepper's id>$<bcrypt's string>`. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password is the one that was hashed. Where there is no hash, or one that can verify nothing, it takes as long as by one of ours and answers false.
   * A hash that another system has made takes the time of its scheme.
   * @throws {PasswordPoolBusyError}
   */
  verify(password: string, passwordHash: string | null): Promise<boolean>;
  /** Why the hash can verify nothing; null where it can. */
  faultOf(passwordHash: string): HashFault | null;
  /** Whether the hash was made otherwise than one would be made today. */
  isOutdated(passwordHash: string): boolean;
  /** zxcvbn's score, 0–4. */
  score(password: string, context: string[]): Promise<PasswordScore>;
  /** how many wait for a thread */
  waiting(): number;
  end(): Promise<void>;
}

export interface PasswordOptions {
  peppers: readonly [{ id: string; bytes: Buffer }, ...{ id: string; bytes: Buffer }[]];
  cost: number;
  threads: number;
  /** told of each password that was held against a hash that can verify nothing */
  onUselessHash?: (scheme: string, fault: HashFault) => void;
}

export function createPasswords({ peppers, cost, threads, onUselessHash }: PasswordOptions): Passwords {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const pool = new Piscina<PasswordTask, unknown>({
    filename: new URL(`./password.worker${extension}`, import.meta.url).href,
    minThreads: threads,
    maxThreads: threads,
    maxQueue: threads * 100,
    // The workers need none of the secrets that the environment holds.
    env: {},
  });
  const pepper = peppers[0];
  // Verified where there is nothing to verify: the cost of today, and a digest that no password has.
  const decoy = `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;

  async function run<T>(task: PasswordTask): Promise<T> {
    try {
      return (await pool.run(task)) as T;
    } catch (error) {
      if (error instanceof Error && error.message === 'Task queue is at limit') throw new PasswordPoolBusyError();
      throw error;
    }
  }

  /** What verifies by the hash, without the password. */
  function read(passwordHash: string): Verification | HashFault {
    const own = parse(passwordHash);
    const ownPepper = peppers.find(({ id }) => id === own?.pepperId);
    if (own !== undefined && ownPepper !== undefined)
      return { task: 'verify', pepper: ownPepper.bytes, bcryptHash: own.bcryptHash };
    const hash = readForeignHash(passwordHash);
    return typeof hash === 'string' ? hash : { task: 'verify-foreign', hash };
  }

  return {
    async hash(password) {
      return `${scheme}$${pepper.id}$${await run<string>({ task: 'hash', password, pepper: pepper.bytes, cost })}`;
    },
    async verify(password, passwordHash) {
      const stored = passwordHash === null ? null : read(passwordHash);
      if (stored === null || typeof stored === 'string') {
        if (stored !== null) onUselessHash?.(foreignSchemeOf(passwordHash!), stored);
        await run({ task: 'verify', password, pepper: pepper.bytes, bcryptHash: decoy });
        return false;
      }
      return run<boolean>({ password, ...stored });
    },
    faultOf(passwordHash) {
      const stored = read(passwordHash);
      return typeof stored === 'string' ? stored : null;
    },
    isOutdated(passwordHash) {
      const stored = parse(passwordHash);
      return stored?.pepperId !== pepper.id || stored.cost !== cost;
    },
    score: (password, context) => run<PasswordScore>({ task: 'score', password, context }),
    waiting: () => pool.queueSize,
    end: () => pool.destroy(),
  };
}

function parse(passwordHash: string): { pepperId: string; bcryptHash: string; cost: number } | undefined {
  const match = /^bcrypt-hmac-sha384\$([0-9a-f]{8})\$(\$2b\$(\d\d)\$[./A-Za-z0-9]{53})$/.exec(passwordHash);
  return match === null ? undefined : { pepperId: match[1]!, bcryptHash: match[2]!, cost: Number(match[3]) };
}
