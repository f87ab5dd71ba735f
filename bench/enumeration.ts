/**
 * Measures whether response times reveal which addresses have an account: `npm run
 * bench:enumeration`.
 * Prints the medians of 300 interleaved pairs (`PAIRS`), their difference, and the Mann-Whitney
 * statistic.
 * Fails if the medians differ by more than 5 ms and 5 %. Not part of the test run.
 */
import { sql } from 'drizzle-orm';
import { createPasswords } from '../src/security/passwords.js';
import { caller } from '../tests/support/people.js';
import { type Address, forgive, makePair, questions } from '../tests/support/strangers-view.js';
import { compare } from '../tests/support/timing.js';
import { withService } from './in-process.js';

const pairs = Number(process.env.PAIRS ?? 300);
const [limitMilliseconds, limitShare] = [5, 0.05];

/** The operation, the state of the address, and whether it is rate-limited. */
const cases: [question: string, state: string, timedOut?: 'timed out'][] = [
  ['authenticate', 'that is verified'],
  ['authenticate', 'of a user without a password'],
  ['authenticate', 'of an inactive user'],
  ['authenticate', 'that is verified', 'timed out'],
  ['securityTokens', 'that is verified'],
  ['securityTokens', 'of an inactive user'],
  ['sendOneTimePassword for AUTHENTICATION', 'that is verified'],
  ['sendOneTimePassword for AUTHENTICATION', 'of an inactive user'],
  ['sendOneTimePassword for PASSWORD_RESET', 'of a user without a password'],
  ['checkOneTimePassword for AUTHENTICATION', 'that is verified'],
  ['checkOneTimePassword for AUTHENTICATION', 'of an inactive user'],
  ['checkOneTimePassword for AUTHENTICATION', 'that is verified', 'timed out'],
  ['resetPassword', 'that is verified'],
  ['resetPassword', 'of an inactive user'],
  ['resetPassword', 'that is verified', 'timed out'],
];

let apart = 0;
await withService({ bcryptCost: 10 }, async (service) => {
  console.log('known ms  unknown ms  difference      z  what');
  for (const [index, [question, state, timedOut]] of cases.entries()) {
    const { known, unknown } = await makePair(service, state, 'email', index);
    const ask = (about: Address) => async () => {
      const { document, variables } = questions[question]!(about);
      await caller(service).ask(document, variables);
    };
    if (timedOut) {
      await ask(known)();
      await ask(unknown)();
      for (const table of ['one_time_passwords', 'sign_in_throttles'])
        await service.app.db.execute(sql.raw(`update ${table} set retry_at = now() + interval '1 day'`));
    }
    const between = () => (timedOut ? Promise.resolve() : forgive(service));
    const { medians, difference, share, z } = await compare(pairs, ask(known), ask(unknown), between);
    const same = Math.abs(difference) <= limitMilliseconds || Math.abs(share) <= limitShare;
    if (!same) apart += 1;
    const figures = [
      medians[0].toFixed(2).padStart(8),
      medians[1].toFixed(2).padStart(11),
      difference.toFixed(2).padStart(11),
      z.toFixed(1).padStart(6),
    ];
    console.log(
      `${figures.join(' ')}  ${question}, ${state}${timedOut ? `, ${timedOut}` : ''}${same ? '' : '  APART'}`,
    );
  }
  const useless = await compareUselessHash();
  if (!useless) apart += 1;
});
process.exit(apart === 0 ? 0 : 1);

/**
 * Compares an unverifiable hash with the hash of another password.
 * @returns whether both take the same time
 */
async function compareUselessHash(): Promise<boolean> {
  const passwords = createPasswords({
    peppers: [{ id: '01234567', bytes: Buffer.alloc(32, 1) }],
    cost: 10,
    threads: 1,
  });
  const real = await passwords.hash('correct horse battery');
  const verify = (hash: string) => () => passwords.verify('wrong', hash);
  const { medians, difference, share, z } = await compare(
    pairs,
    verify(real),
    verify('md5$c2FsdA$aGFzaA'),
    async () => {},
  );
  const same = Math.abs(difference) <= limitMilliseconds || Math.abs(share) <= limitShare;
  console.log(
    `${medians.map((each) => each.toFixed(2)).join(' and ')} ms, z = ${z.toFixed(1)}  a wrong password and an unverifiable hash${same ? '' : '  APART'}`,
  );
  return same;
}
