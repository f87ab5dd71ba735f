/** Clients that send requests during a fault, and record acknowledged results. */
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, send } from './client.js';

/** Acknowledged results by ID, and unexpected responses. */
export interface Noted {
  signUps: { userId: string; securityTokenId: string; sessionId: string }[];
  /** rejected wrong one-time passwords by security token: each is a counted failure */
  failures: Map<string, number>;
  /** attempts with a lost response, which may be counted */
  maybeFailures: Map<string, number>;
  /** `SERVICE_UNAVAILABLE` responses with status and `Retry-After` */
  unavailable: number;
  /** the longest wait for such a response */
  longestRefusalMilliseconds: number;
  /** the longest wait for any other response */
  longestAnswerMilliseconds: number;
  /** accepted wrong secrets */
  wrongYes: number;
  /** rejected right secrets, and unexpected responses */
  unexpected: string[];
}

export interface Load {
  /** a snapshot */
  noted: Readonly<Noted>;
  /** Resolves after a sign-up that was requested after the call, with its duration. */
  nextSignUp(): Promise<number>;
  end(): Promise<Noted>;
}

const signUp =
  'mutation ($input: CreateUserInput!) { createUser(input: $input) { ... on CreateUserSuccess { user { id securityTokens { id } } tokens { accessToken session { id } } } ... on IdentityError { code } } }';
const check =
  'mutation ($tokenId: ID!) { checkOneTimePassword(tokenId: $tokenId, oneTimePassword: "WRONG234", purpose: AUTHENTICATION) { __typename ... on IdentityError { code } } }';
const signIn =
  'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { __typename ... on AuthenticateSuccess { user { id } } ... on IdentityError { code } } }';

/**
 * Each client signs up, tries a wrong one-time password, and reads its account. The first client of
 * a round also signs a known user in.
 * @param known a user with a password
 * @param refusedMilliseconds pause after a rejection; correct clients follow `Retry-After`
 */
export function startLoad(
  services: readonly { url: string }[],
  {
    clients,
    known,
    refusedMilliseconds = 20,
  }: { clients: number; known: { username: string; password: string }; refusedMilliseconds?: number },
): Load {
  const noted: Noted = {
    signUps: [],
    failures: new Map(),
    maybeFailures: new Map(),
    unavailable: 0,
    longestRefusalMilliseconds: 0,
    longestAnswerMilliseconds: 0,
    wrongYes: 0,
    unexpected: [],
  };
  let ended = false;
  // Even if an experiment fails.
  after(() => {
    ended = true;
  });
  let waiting: { since: number; resolve: (milliseconds: number) => void }[] = [];
  const count = (counts: Map<string, number>, id: string) => counts.set(id, (counts.get(id) ?? 0) + 1);

  /**
   * Returns the data; undefined for an unavailable service. Records other responses as unexpected.
   */
  async function ask(service: { url: string }, ...request: [string, Record<string, unknown>, { token?: string }?]) {
    const askedAt = performance.now();
    let answer: Answer;
    try {
      answer = await send(service, ...request);
    } catch (error) {
      noted.unexpected.push(`no answer: ${(error as Error).cause ?? error}`);
      return undefined;
    }
    const took = performance.now() - askedAt;
    if (answer.errors === undefined) {
      noted.longestAnswerMilliseconds = Math.max(noted.longestAnswerMilliseconds, took);
      return { ...answer.data, askedAt };
    }
    noted.longestRefusalMilliseconds = Math.max(noted.longestRefusalMilliseconds, took);
    const isUnavailable =
      answer.status === 503 &&
      answer.headers.get('retry-after') !== null &&
      answer.errors.every(({ extensions }) => extensions.code === 'SERVICE_UNAVAILABLE');
    if (isUnavailable) {
      noted.unavailable += 1;
      await delay(refusedMilliseconds);
    } else noted.unexpected.push(`${answer.status} ${JSON.stringify(answer.errors)}`);
    return undefined;
  }

  async function client(number: number): Promise<void> {
    let cutOff = false;
    for (let round = 0; !ended; round += 1) {
      const service = services[(number + round) % services.length]!;
      const email = `client${number}.${round}@example.com`;
      const signedUp = await ask(service, signUp, { input: { email } });
      if (signedUp !== undefined) {
        const { user, tokens } = signedUp.createUser;
        if (user === undefined) noted.unexpected.push(`sign-up: ${JSON.stringify(signedUp)}`);
        else {
          const securityTokenId: string = user.securityTokens[0].id;
          noted.signUps.push({ userId: user.id, securityTokenId, sessionId: tokens.session.id });
          for (const { since, resolve } of waiting.filter(({ since }) => since <= signedUp.askedAt))
            resolve(performance.now() - since);
          waiting = waiting.filter(({ since }) => since > signedUp.askedAt);
          const checked = await ask(service, check, { tokenId: securityTokenId });
          if (checked === undefined) count(noted.maybeFailures, securityTokenId);
          else if (checked.checkOneTimePassword.__typename === 'InvalidOneTimePasswordError')
            count(noted.failures, securityTokenId);
          else if (checked.checkOneTimePassword.__typename === 'CheckOneTimePasswordSuccess') noted.wrongYes += 1;
          else noted.unexpected.push(`check: ${JSON.stringify(checked)}`);
          const found = await ask(
            service,
            '{ me { id sessions { id } securityTokens { id } } }',
            {},
            {
              token: tokens.accessToken,
            },
          );
          if (found !== undefined && found.me?.id !== user.id) noted.unexpected.push(`me: ${JSON.stringify(found)}`);
        }
      }
      if (number !== 0) continue;
      const signedIn = await ask(service, signIn, { input: known });
      const outcome: string | undefined = signedIn?.authenticate.__typename;
      // Attempts are counted before the comparison, so an interrupted attempt delays the next.
      const isMadeToWait: boolean = cutOff && outcome === 'TimeoutError';
      if (signedIn !== undefined && outcome !== 'AuthenticateSuccess' && !isMadeToWait)
        noted.unexpected.push(`sign-in: ${JSON.stringify(signedIn)}`);
      cutOff = signedIn === undefined || isMadeToWait;
    }
  }

  const all = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return {
    noted,
    nextSignUp: () => new Promise((resolve) => waiting.push({ since: performance.now(), resolve })),
    async end() {
      ended = true;
      await all;
      return noted;
    },
  };
}

type Query = (text: string, values?: unknown[]) => Promise<{ id: string; failure_count: number }[]>;

/** Counts acknowledged rows: user, token and session per sign-up, and each failure. */
export function acknowledgedRows({ signUps, failures }: Noted): number {
  return signUps.length * 3 + failures.size;
}

/** Counts acknowledged rows that the database does not contain. */
export async function lostRows(noted: Noted, query: Query): Promise<number> {
  const { signUps, failures } = noted;
  let lost = 0;
  for (const [table, ids] of [
    ['users', signUps.map(({ userId }) => userId)],
    ['security_tokens', signUps.map(({ securityTokenId }) => securityTokenId)],
    ['sessions', signUps.map(({ sessionId }) => sessionId)],
  ] as const) {
    const kept = await query(`select id::text from ${table} where id::text = any($1)`, [ids]);
    lost += ids.length - new Set(kept.map(({ id }) => id)).size;
  }
  const counts = await countsOf([...failures.keys()], query);
  for (const [id, count] of failures) if ((counts.get(id) ?? 0) < count) lost += 1;
  return lost;
}

/** Finds security tokens with more failures than wrong attempts. */
export async function overcounted(noted: Noted, query: Query): Promise<string[]> {
  const ids = noted.signUps.map(({ securityTokenId }) => securityTokenId);
  const counts = await countsOf(ids, query);
  return ids.filter((id) => (counts.get(id) ?? 0) > (noted.failures.get(id) ?? 0) + (noted.maybeFailures.get(id) ?? 0));
}

/** Finds users without a security token, although both are created together. */
export async function incompleteUsers(query: Query): Promise<number> {
  const rows = await query(
    'select id::text from users where email is not null and not exists (select from security_tokens where user_id = users.id)',
  );
  return rows.length;
}

async function countsOf(ids: readonly string[], query: Query): Promise<Map<string, number>> {
  const rows = await query('select token_id as id, failure_count from one_time_passwords where token_id = any($1)', [
    ids,
  ]);
  return new Map(rows.map(({ id, failure_count }) => [id, failure_count]));
}
