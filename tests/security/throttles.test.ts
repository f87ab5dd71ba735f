/**
 * Classifies every text argument as compared secret, new secret or other, and checks that
 * comparisons are throttled.
 */
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

/** A secret that the service compares, with wrong and right attempts. */
interface Throttled {
  /** the key of the attempt counter */
  by: string;
  wrong: 'InvalidCredentialsError' | 'InvalidOneTimePasswordError';
  /** Creates a user. @returns an attempt function and the right secret */
  prepare(): Promise<{ guess: (secret: string) => Promise<Attempt>; right: string }>;
}

async function alice(): Promise<Person> {
  return insertPerson(service, { username: 'alice', email: 'alice@example.com', hasPassword: true });
}

const compared: Record<string, Throttled> = {
  'authenticate(input.password)': {
    by: 'the identifier of any user, and the client',
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
  'reauthenticate(currentPassword)': {
    by: 'the account',
    wrong: 'InvalidCredentialsError',
    async prepare() {
      const owner = await alice();
      return { guess: (secret) => owner.reauthenticate(secret), right: password };
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

/** Compared secrets without a throttle, and the reason. */
const unguessable: Record<string, string> = {
  'refreshSession(refreshToken)': 'made here: 256 random bits',
  'signOut(refreshToken)': 'made here: 256 random bits',
};

/** Secrets that the service stores without comparing them. */
const set = [
  'createUser(input.password)',
  'createSuperuser(input.password)',
  'changePassword(input.newPassword)',
  'resetPassword(input.newPassword)',
  'setUserPassword(newPassword)',
];

/**
 * Arguments that are not secrets. IDs are not secrets, because operations with IDs check the
 * caller.
 */
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

test('every text argument is classified, and compared secrets have a throttle or a reason', () => {
  const known = [...Object.keys(compared), ...Object.keys(unguessable), ...set];
  assert.deepEqual([...new Set([...texts, ...byName])].sort(), known.sort());
});

for (const [name, { by, wrong, prepare }] of Object.entries(compared))
  describe(`${name}, counted by ${by}`, () => {
    test('delays the next attempt by 1, 2, 4, 8 … seconds', async () => {
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

    test('rejects even the right secret during the delay', async () => {
      const { guess, right } = await prepare();
      for (const [index, wait] of [1, 2, 4, 8].entries()) {
        assert.equal((await guess(`wrong ${index}`)).__typename, wrong);
        if (wait < 8) await advance(service, wait);
      }
      assert.equal((await guess(right)).__typename, 'TimeoutError');
      await advance(service, 8);
      assert.match((await guess(right)).__typename, /Success$/);
    });

    test('counts empty and very long attempts', async () => {
      for (const secret of ['', ' ', 'x'.repeat(10_000)]) {
        await clear(service);
        const { guess } = await prepare();
        assert.equal((await guess(secret)).__typename, wrong, JSON.stringify(secret.slice(0, 10)));
        assert.equal((await guess('wrong')).__typename, 'TimeoutError', JSON.stringify(secret.slice(0, 10)));
      }
    });
  });

describe('a secret without a throttle cannot be guessed', () => {
  test('a refresh token has at least 256 bits, and an invented token causes no query', async () => {
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

  test('a bootstrap secret has at least 32 characters and is single-use', async () => {
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
