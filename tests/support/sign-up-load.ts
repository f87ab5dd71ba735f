/** Sequential sign-ups. Every acknowledged sign-up must be in the database afterwards. */
import { setTimeout as delay } from 'node:timers/promises';
import { expectMember, operations } from './client.js';
import type { Replicas } from './replicas.js';

export interface SignUpLoad {
  /** the IDs of acknowledged users */
  acknowledged: readonly string[];
  /** the number of other or missing responses */
  refused(): number;
  /** Waits for `count` acknowledgements. */
  reach(count: number): Promise<void>;
  /** Waits for open requests. */
  stop(): Promise<void>;
}

let loads = 0;

/**
 * Starts clients that sign up users sequentially, each with a username, an email and a phone.
 * @param urls URLs of processes of the service, used in turn
 */
export function startSignUps(urls: readonly string[], clients: number): SignUpLoad {
  // Another load in the same database has other names.
  const load = ++loads;
  const acknowledged: string[] = [];
  let [number, refused, stopped] = [0, 0, false];
  const work = Array.from({ length: clients }, async () => {
    while (!stopped) {
      const name = `load${load}-${++number}`;
      const phone = `+1201${2_000_000 + load * 100_000 + number}`;
      try {
        const url = urls[number % urls.length]!;
        const { user } = expectMember(
          await operations({ url }).createUser({ username: name, email: `${name}@example.com`, phone }),
          'CreateUserSuccess',
        );
        acknowledged.push(user.id);
      } catch {
        refused += 1;
      }
      // A steady load that leaves capacity for processes that start meanwhile.
      await delay(50);
    }
  });
  return {
    acknowledged,
    refused: () => refused,
    async reach(count) {
      while (acknowledged.length < count) await delay(20);
    },
    async stop() {
      stopped = true;
      await Promise.all(work);
    },
  };
}

/** Counts missing acknowledged users, existing users, and users without security tokens. */
export async function lookForSignUps(
  { query }: Pick<Replicas, 'query'>,
  acknowledged: readonly string[],
): Promise<{ lost: number; withoutTokens: number }> {
  const [row] = await query(
    `select (select count(*)::int from unnest($1::uuid[]) as id where not exists (select from users where users.id = id.id)) as lost,
      (select count(*)::int from users where num_nonnulls(email, phone) <> (select count(*) from security_tokens where user_id = users.id)) as without_tokens`,
    [acknowledged],
  );
  return { lost: row.lost, withoutTokens: row.without_tokens };
}
