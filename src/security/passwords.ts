/**
 * Hashes, verifies and scores passwords in worker threads with a bounded queue. The event loop
 * never hashes.
 */
import { Piscina } from 'piscina';
import { bcrypt } from './bcrypt.js';
import { createHashingQueue, PasswordPoolBusyError } from './hashing-queue.js';
import { getForeignScheme, type HashFault, readForeignHash } from './imported-hashes.js';
import type { PasswordResult, PasswordTask } from './password.worker.js';
import type { PasswordScore, ScoreTask } from './password-strength.worker.js';

const scheme = 'bcrypt-hmac-sha384';

type Verification =
  | Omit<Extract<PasswordTask, { task: 'verify' }>, 'password'>
  | Omit<Extract<PasswordTask, { task: 'verify-foreign' }>, 'password'>;

/** Operations that run in a worker thread, in order of their calls. */
export interface Hashing {
  /** Returns `bcrypt-hmac-sha384$<ID of the pepper>$<bcrypt hash>`. */
  hash(password: string): Promise<string>;
  /**
   * Returns whether the password matches the hash.
   * Without a verifiable hash it verifies a dummy hash and returns false, to take the same time.
   * An imported hash takes the time of its scheme.
   */
  verify(password: string, passwordHash: string | null): Promise<boolean>;
}

/**
 * Password operations. `hash` and `verify` acquire a hashing slot.
 * @throws {PasswordPoolBusyError} if the queue is full
 */
export interface Passwords extends Hashing {
  /**
   * Runs work with one hashing slot, so the queue cannot reject the work after an attempt is
   * counted.
   * @param admit acquires the slot with its argument, after everything that may fail
   * @param work hashes and verifies with the acquired slot
   * @throws {PasswordPoolBusyError} if the queue is full before `admit`, and from the argument of
   * `admit`
   */
  withHashingSlot<Admitted, T>(
    admit: (acquireSlot: () => void) => Promise<Admitted>,
    work: (hashing: Hashing, admitted: Admitted) => Promise<T>,
  ): Promise<T>;
  /** Returns why the hash is unverifiable, or null. */
  findHashFault(passwordHash: string): HashFault | null;
  /** Returns whether a new hash would have another scheme, pepper or cost. */
  isOutdated(passwordHash: string): boolean;
  /**
   * Returns the score of zxcvbn, 0–4.
   * @throws {PasswordPoolBusyError}
   */
  score(password: string, context: string[]): Promise<PasswordScore>;
  /** Returns the number of tasks that wait for a thread. */
  waiting(): number;
  /** the npm package that hashes */
  implementation: string;
}

export interface PasswordOptions {
  peppers: readonly [{ id: string; bytes: Buffer }, ...{ id: string; bytes: Buffer }[]];
  cost: number;
  threads: number;
  /** Runs when a password is compared with an unverifiable hash. */
  onUnverifiableHash?: (scheme: string, fault: HashFault) => void;
}

/** About one second of scoring work. */
const maxScoresWaiting = 300;

/** Lowers the priority of hashing, so it does not slow other requests. */
const niceIncrement = 10;

/**
 * The thread pools of the process. Services share them, because a task carries its whole
 * configuration.
 */
const pools = new Map<string, Piscina>();

function getPool<Task, Result>(
  worker: 'password' | 'password-strength',
  options: { maxThreads: number; maxQueue?: number },
): Piscina<Task, Result> {
  const name = `${worker} ${options.maxThreads}`;
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const pool =
    pools.get(name) ??
    new Piscina({
      filename: new URL(`./${worker}.worker${extension}`, import.meta.url).href,
      // Threads start at first use and stay: they need much memory, and starting them takes time.
      minThreads: 0,
      idleTimeout: Number.POSITIVE_INFINITY,
      // Without it, a task that finds no idle thread goes behind later tasks, again and again.
      stricterFIFO: true,
      niceIncrement,
      // Keep the secrets of the environment out of the workers.
      env: {},
      ...options,
    });
  pools.set(name, pool);
  return pool;
}

/** Creates password operations with the shared threads and a hashing queue of their own. */
export function createPasswords(options: PasswordOptions): Passwords {
  const { peppers, cost, threads } = options;
  const hashers = getPool<PasswordTask, PasswordResult>('password', { maxThreads: threads });
  const scorers = getPool<ScoreTask, PasswordScore>('password-strength', { maxThreads: 1, maxQueue: maxScoresWaiting });
  const withHashingSlot = createSlotRunner(hashers, options);
  const atOnce = async (acquireSlot: () => void) => acquireSlot();
  return {
    withHashingSlot,
    hash: (password) => withHashingSlot(atOnce, ({ hash }) => hash(password)),
    verify: (password, passwordHash) => withHashingSlot(atOnce, ({ verify }) => verify(password, passwordHash)),
    findHashFault(passwordHash) {
      const stored = readStoredHash(peppers, passwordHash);
      return typeof stored === 'string' ? stored : null;
    },
    isOutdated(passwordHash) {
      const stored = parse(passwordHash);
      return stored?.pepperId !== peppers[0].id || stored.cost !== cost;
    },
    async score(password, context) {
      try {
        return await scorers.run({ password, context });
      } catch (error) {
        if (error instanceof Error && error.message === 'Task queue is at limit') throw new PasswordPoolBusyError();
        throw error;
      }
    },
    waiting: () => hashers.queueSize + scorers.queueSize,
    implementation: bcrypt.implementation,
  };
}

/** Runs a task in a worker thread. */
type RunTask = (task: PasswordTask) => Promise<PasswordResult['value']>;

function createSlotRunner(
  hashers: Piscina<PasswordTask, PasswordResult>,
  options: PasswordOptions,
): Passwords['withHashingSlot'] {
  const queue = createHashingQueue(options.threads, 2 ** options.cost / 16);
  return async (admit, work) => {
    queue.requireFreeSlot();
    let release: ((spentMilliseconds: number) => void) | undefined;
    let spentMilliseconds = 0;
    const run: RunTask = async (task) => {
      const { value, milliseconds } = await hashers.run(task);
      spentMilliseconds += milliseconds;
      return value;
    };
    try {
      const admitted = await admit(() => {
        release = queue.acquire();
      });
      return await work(createHashing(run, options), admitted);
    } finally {
      release?.(spentMilliseconds);
    }
  };
}

function createHashing(run: RunTask, { peppers, cost, onUnverifiableHash }: PasswordOptions): Hashing {
  const [pepper] = peppers;
  const dummyHash = toDummyHash(cost);
  return {
    async hash(password) {
      return `${scheme}$${pepper.id}$${await run({ task: 'hash', password, pepper: pepper.bytes, cost })}`;
    },
    async verify(password, passwordHash) {
      const stored = passwordHash === null ? null : readStoredHash(peppers, passwordHash);
      if (stored !== null && typeof stored !== 'string') return (await run({ password, ...stored })) === true;
      if (passwordHash !== null && stored !== null) onUnverifiableHash?.(getForeignScheme(passwordHash), stored);
      await run({ task: 'verify', password, pepper: pepper.bytes, bcryptHash: dummyHash });
      return false;
    },
  };
}

/**
 * Creates a hash of the current cost that no password matches. Verifying it hides that an account
 * has no hash.
 */
function toDummyHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}

/** Reads a stored hash into the parameters of its verification. */
function readStoredHash(peppers: PasswordOptions['peppers'], passwordHash: string): Verification | HashFault {
  const own = parse(passwordHash);
  const ownPepper = peppers.find(({ id }) => id === own?.pepperId);
  if (own !== undefined && ownPepper !== undefined)
    return { task: 'verify', pepper: ownPepper.bytes, bcryptHash: own.bcryptHash };
  const hash = readForeignHash(passwordHash);
  return typeof hash === 'string' ? hash : { task: 'verify-foreign', hash };
}

function parse(passwordHash: string): { pepperId: string; bcryptHash: string; cost: number } | undefined {
  const match = /^bcrypt-hmac-sha384\$([0-9a-f]{8})\$(\$2b\$(\d\d)\$[./A-Za-z0-9]{53})$/.exec(passwordHash);
  if (match === null) return undefined;
  const [, pepperId = '', bcryptHash = '', cost] = match;
  return { pepperId, bcryptHash, cost: Number(cost) };
}
