/** Hashing, verifying and scoring of passwords, in worker threads with a bounded queue: the event loop never hashes. */
import { Piscina } from 'piscina';
import { bcrypt } from './bcrypt.js';
import { createHashingQueue, PasswordPoolBusyError } from './hashing-queue.js';
import { foreignSchemeOf, type HashFault, readForeignHash } from './imported-hashes.js';
import type { PasswordResult, PasswordTask } from './password.worker.js';
import type { PasswordScore, ScoreTask } from './password-strength.worker.js';

const scheme = 'bcrypt-hmac-sha384';

type Verification =
  | Omit<Extract<PasswordTask, { task: 'verify' }>, 'password'>
  | Omit<Extract<PasswordTask, { task: 'verify-foreign' }>, 'password'>;

/** In the order in which they are asked for. */
export interface Hashing {
  /** `bcrypt-hmac-sha384$<pepper's id>$<bcrypt's string>`. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password is the one that was hashed. Where there is no hash, or one that can verify nothing, it takes as long as by one of ours and answers false.
   * A hash that another system has made takes the time of its scheme.
   */
  verify(password: string, passwordHash: string | null): Promise<boolean>;
}

/** Its own `hash` and `verify` enter the queue by themselves. @throws {PasswordPoolBusyError} from either, where it is full */
export interface Passwords extends Hashing {
  /**
   * For work that must not be refused half way, because an attempt is counted before a password is compared.
   * @param admit calls its argument once, as the last thing that may still fail
   * @param work is done in the queue: its `hash` and `verify` are not refused
   * @throws {PasswordPoolBusyError} before `admit` begins, where the queue is full already; and from the argument of `admit`
   */
  admitted<Admitted, T>(
    admit: (enterQueue: () => void) => Promise<Admitted>,
    work: (hashing: Hashing, admitted: Admitted) => Promise<T>,
  ): Promise<T>;
  /** Why the hash can verify nothing; null where it can. */
  faultOf(passwordHash: string): HashFault | null;
  /** Whether the hash was made otherwise than one would be made today. */
  isOutdated(passwordHash: string): boolean;
  /**
   * zxcvbn's score, 0–4.
   * @throws {PasswordPoolBusyError}
   */
  score(password: string, context: string[]): Promise<PasswordScore>;
  /** how many wait for a thread */
  waiting(): number;
  /** the npm package that hashes */
  implementation: string;
}

export interface PasswordOptions {
  peppers: readonly [{ id: string; bytes: Buffer }, ...{ id: string; bytes: Buffer }[]];
  cost: number;
  threads: number;
  /** told of each password that was held against a hash that can verify nothing */
  onUnverifiableHash?: (scheme: string, fault: HashFault) => void;
}

/** About a second of them. */
const maxScoresWaiting = 300;

/** Below everything else that this process does: requests that need no hash are not to feel it. */
const niceIncrement = 10;

/**
 * One of each for the process, whatever services it holds: a task carries all that its thread needs to know.
 * Idle threads do not keep the process from ending.
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
      // Begun when they are first needed, and kept: they take as much memory as all the rest, and time at the start.
      minThreads: 0,
      idleTimeout: Number.POSITIVE_INFINITY,
      // Else one that finds no thread is put behind all who came later, again and again.
      stricterFIFO: true,
      niceIncrement,
      // The workers need none of the secrets that the environment holds.
      env: {},
      ...options,
    });
  pools.set(name, pool);
  return pool;
}

/** Hashes and scores by the threads of the process. The hashing queue belongs to the result alone. */
export function createPasswords(options: PasswordOptions): Passwords {
  const { peppers, cost, threads } = options;
  const hashers = getPool<PasswordTask, PasswordResult>('password', { maxThreads: threads });
  const scorers = getPool<ScoreTask, PasswordScore>('password-strength', { maxThreads: 1, maxQueue: maxScoresWaiting });
  const admitted = createAdmission(hashers, options);
  const atOnce = async (enterQueue: () => void) => enterQueue();
  return {
    admitted,
    hash: (password) => admitted(atOnce, ({ hash }) => hash(password)),
    verify: (password, passwordHash) => admitted(atOnce, ({ verify }) => verify(password, passwordHash)),
    faultOf(passwordHash) {
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

/** Runs a task in a thread. */
type RunTask = (task: PasswordTask) => Promise<PasswordResult['value']>;

function createAdmission(
  hashers: Piscina<PasswordTask, PasswordResult>,
  options: PasswordOptions,
): Passwords['admitted'] {
  const queue = createHashingQueue(options.threads, 2 ** options.cost / 16);
  return async (admit, work) => {
    queue.refuseWhenBusy();
    let leave: ((spentMilliseconds: number) => void) | undefined;
    let spentMilliseconds = 0;
    const run: RunTask = async (task) => {
      const { value, milliseconds } = await hashers.run(task);
      spentMilliseconds += milliseconds;
      return value;
    };
    try {
      const given = await admit(() => {
        leave = queue.enter();
      });
      return await work(createHashing(run, options), given);
    } finally {
      leave?.(spentMilliseconds);
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
      if (passwordHash !== null && stored !== null) onUnverifiableHash?.(foreignSchemeOf(passwordHash), stored);
      await run({ task: 'verify', password, pepper: pepper.bytes, bcryptHash: dummyHash });
      return false;
    },
  };
}

/** Makes a hash of the current cost that no password verifies. It is verified where there is no hash, so that both cases take the same time. */
function toDummyHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}

/** Reads what a verification needs besides the password. */
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
