/** Every text that the schema takes is a secret that is compared, a secret that is set, or none; and whatever compares a secret that people choose or read off slows guesses down. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { caller, insertPerson, issueOneTimePassword, makeSuperuser, type Person, password } from '../support/people.js';
import { schemaOperations } from '../support/schema-operations.js';
import { advance, clear, startService } from '../support/service.js';

const service = await startService({ OTP_SEND_INTERVAL_SECONDS: '0' });
const anonymous = caller(service);
const newPassword = 'another horse battery';

beforeEach(() => clear(service));

interface Attempt {
  __typename: string;
  code?: string | undefined;
  retryAfterSeconds?: number | undefined;
  failureCount?: number | null | undefined;
}

/** A secret that is compared: how to guess at it, wrongly and rightly. */
interface Throttled {
  /** what the count is kept by */
  by: string;
  wrong: 'InvalidCredentialsError' | 'InvalidOneTimePasswordError';
  /** @returns a guess at the secret of somebody new, and what the right one is */
  prepare(): Promise<{ guess: (secret: string) => Promise<Attempt>; right: string }>;
}

async function alice(): Promise<Person> {
  return insertPerson(service, { username: 'alice', email: 'alice@example.com', hasPassword: true });
}

const compared: Record<string, Throttled> = {
  'authenticate(input.password)': {
    by: 'the identifier, whoever has it, and the client',
    wrong: 'InvalidCredentialsError',
    async prepare() {
      await alice();
      return { guess: (secret) => anonymous.authenticate({ username: 'alice', password: secret }), right: password };
    },
  },
  'changePassword(input.currentPassword)': {
    by: 'the account',
    wrong: 'InvalidCredentialsError',
    async prepare() {
      const owner = await alice();
      return { guess: (secret) => owner.changePassword({ currentPassword: secret, newPassword }), right: password };
    },
  },
  'updateUser(currentPassword)': {
    by: 'the account',
    wrong: 'InvalidCredentialsError',
    async prepare() {
      const owner = await alice();
      return {
        guess: (secret) => owner.updateUser({ username: 'alice2' }, { currentPassword: secret }),
        right: password,
      };
    },
  },
  'deleteUser(currentPassword)': {
    by: 'the account',
    wrong: 'InvalidCredentialsError',
    async prepare() {
      const owner = await alice();
      return { guess: (secret) => owner.deleteUser({ currentPassword: secret }), right: password };
    },
  },
  'checkOneTimePassword(oneTimePassword)': {
    by: 'the address and the purpose',
    wrong: 'InvalidOneTimePasswordError',
    async prepare() {
      const owner = await alice();
      const right = await issueOneTimePassword(service, owner.emailToken, 'AUTHENTICATION');
      return { guess: (secret) => anonymous.checkOneTimePassword(owner.emailToken, secret), right };
    },
  },
  'resetPassword(input.oneTimePassword)': {
    by: 'the address and the purpose',
    wrong: 'InvalidOneTimePasswordError',
    async prepare() {
      const owner = await alice();
      const right = await issueOneTimePassword(service, owner.emailToken, 'PASSWORD_RESET');
      const guess = (secret: string) =>
        anonymous.resetPassword({ tokenId: owner.emailToken, oneTimePassword: secret, newPassword });
      return { guess, right };
    },
  },
};

/** Secrets that are compared without a throttle, and why that is enough. */
const unguessable: Record<string, string> = {
  'refreshSession(refreshToken)': 'made here: 256 random bits',
  'signOut(refreshToken)': 'made here: 256 random bits',
};

/** Secrets that are kept and compared with nothing. */
const set = [
  'createUser(input.password)',
  'createSuperuser(input.password)',
  'changePassword(input.newPassword)',
  'resetPassword(input.newPassword)',
  'setUserPassword(newPassword)',
];

/** Texts of these names are no secrets. Ids are none either: whatever goes by an id asks who wants to know. */
const open = ['identifier', 'username', 'email', 'phone', 'search', 'after', 'before'];

const texts = schemaOperations.flatMap(({ name, leaves }) =>
  leaves
    .filter(
      ({ type, path }) => !['ID', 'Int', 'Float', 'Boolean', 'DateTime'].includes(type) && !open.includes(path.at(-1)!),
    )
    .filter(({ values }) => values === undefined)
    .map(({ path }) => `${name}(${path.join('.')})`),
);
const byName = schemaOperations.flatMap(({ name, leaves }) =>
  leaves
    .filter(({ path }) =>
      /password|passphrase|secret|pin$|otp|code|answer|credential|signature|refreshToken|accessToken/i.test(
        path.at(-1)!,
      ),
    )
    .map(({ path }) => `${name}(${path.join('.')})`),
);

test('every text that an operation takes is known here: what compares a secret is throttled, or says why it need not be', () => {
  const known = [...Object.keys(compared), ...Object.keys(unguessable), ...set];
  assert.deepEqual([...new Set([...texts, ...byName])].sort(), known.sort());
});

for (const [name, { by, wrong, prepare }] of Object.entries(compared))
  describe(`${name}, counted by ${by}`, () => {
    test('slows guesses down: the next one opens 1, 2, 4, 8 … seconds later', async () => {
      const { guess } = await prepare();
      for (const [index, wait] of [1, 2, 4, 8, 16, 32].entries()) {
        assert.equal((await guess(`wrong ${index}`)).__typename, wrong);
        const early = await guess(`wrong ${index} again`);
        assert.equal(early.__typename, 'TimeoutError');
        assert.equal(early.failureCount, index + 1);
        assert.ok(Math.abs(early.retryAfterSeconds! - wait) <= 1, `${early.retryAfterSeconds} s, not ${wait}`);
        await advance(service, wait);
      }
    });

    test('takes not even the right one before', async () => {
      const { guess, right } = await prepare();
      for (const [index, wait] of [1, 2, 4, 8].entries()) {
        assert.equal((await guess(`wrong ${index}`)).__typename, wrong);
        if (wait < 8) await advance(service, wait);
      }
      assert.equal((await guess(right)).__typename, 'TimeoutError');
      await advance(service, 8);
      assert.match((await guess(right)).__typename, /Success$/);
    });

    test('counts what is empty, and what is endless, like any other', async () => {
      for (const secret of ['', ' ', 'x'.repeat(10_000)]) {
        await clear(service);
        const { guess } = await prepare();
        assert.equal((await guess(secret)).__typename, wrong, JSON.stringify(secret.slice(0, 10)));
        assert.equal((await guess('wrong')).__typename, 'TimeoutError', JSON.stringify(secret.slice(0, 10)));
      }
    });
  });

describe('a secret without a throttle is beyond guessing', () => {
  test('a refresh token has 256 bits and more, and none that is made up is looked for', async () => {
    const { tokens } = await alice();
    const { refreshToken } = tokens;
    assert.ok(Buffer.from(refreshToken.replace(/^frt_/, ''), 'base64url').length >= 32);
    for (let index = 0; index < 50; index += 1) {
      const guessed = `${refreshToken.slice(0, -4)}${String(index).padStart(4, 'A')}`;
      assert.equal((await anonymous.refreshSession(guessed)).__typename, 'InvalidSessionError');
      assert.deepEqual(await anonymous.signOut(guessed), { signedOut: false });
    }
    assert.equal((await anonymous.refreshSession(refreshToken)).__typename, 'RefreshSessionSuccess');
  });

  test('a bootstrap secret has 32 characters at least, and is good for one thing once', async () => {
    const { bootstrapSecret } = service.app;
    assert.ok(bootstrapSecret!.length >= 32);
    await assert.rejects(
      startService({ BOOTSTRAP_SECRET: 'x'.repeat(31) }),
      /BOOTSTRAP_SECRET must be at least 32 characters/,
    );
    const document = 'mutation { createSuperuser(input: { username: "mallory" }) { __typename } }';
    for (const guess of [
      '',
      'x'.repeat(32),
      bootstrapSecret!.slice(1),
      `${bootstrapSecret}x`,
      bootstrapSecret!.toUpperCase(),
    ]) {
      const { data, errors } = await caller(service, { headers: { 'x-bootstrap-secret': guess } }).ask(document);
      assert.match(errors?.[0]?.extensions.code, /^(UNAUTHENTICATED|FORBIDDEN)$/);
      assert.ok(!data);
    }
    await makeSuperuser(service);
    const late = await caller(service, { headers: { 'x-bootstrap-secret': bootstrapSecret! } }).ask(document);
    assert.match(late.errors?.[0]?.extensions.code, /^(UNAUTHENTICATED|FORBIDDEN)$/);
  });
});
