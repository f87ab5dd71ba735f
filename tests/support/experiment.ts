/**
 * Experiments with faults: what was acknowledged meanwhile, what of it is lost, how long it took to be well again. Those in `tests/faults/*.test.ts` are part of
 * `npm test`, on a small scale; with those in `*.experiment.ts`, and at full size, they are run by `npm run test:faults`.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';

/** Whether this is `npm run test:faults`. */
export const full = process.env.FAULTS_RECORDS !== undefined;

export interface Findings {
  /** operations that were answered with success while the fault was there, or about it */
  acknowledged: number;
  /** of those, how many the database knows nothing of afterwards */
  lost: number;
  /** wrong secrets, spent ones included, that were taken for right */
  wrongYes: number;
  /** from healing to the first success, once for each time the fault was made; empty where nothing stops */
  recoveredAfterMilliseconds: readonly number[];
  /** what else was counted, by its name */
  also?: Readonly<Record<string, number | string>>;
}

/** What the table at the end of `npm run test:faults` is made of. */
export type ExperimentRecord = { fault: number; title: string } & (
  | { outcome: 'passed'; findings: Findings }
  | { outcome: 'failed'; findings: Findings | null }
  | { outcome: 'not run'; because: string }
);

/**
 * One fault of `docs/security.md`, made to happen. It is not run, and counted as such, where the machine lacks a program that it needs.
 * @param needs programs of Debian's packages, like `haproxy`
 * @param run makes the fault and heals it, hands over what it has found, and only then asserts: so that what was found is told of failures too
 */
export function experiment(
  fault: number,
  title: string,
  needs: readonly string[],
  run: (found: (findings: Findings) => void) => Promise<void>,
): void {
  const missing = needs.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  const because = `not on this machine: ${missing.join(', ')}`;
  if (missing.length > 0) record({ fault, title, outcome: 'not run', because });
  test(`fault ${fault}: ${title}`, {
    skip: missing.length > 0 && because,
    timeout: full ? 900_000 : 120_000,
  }, async (t) => {
    let findings: Findings | null = null;
    try {
      await run((found) => {
        findings = found;
        t.diagnostic(JSON.stringify(found));
      });
      if (findings === null) throw new Error('the experiment has found nothing');
      record({ fault, title, outcome: 'passed', findings });
    } catch (error) {
      record({ fault, title, outcome: 'failed', findings });
      throw error;
    }
  });
}

function record(experiment: ExperimentRecord): void {
  const { FAULTS_RECORDS } = process.env;
  if (FAULTS_RECORDS !== undefined) appendFileSync(FAULTS_RECORDS, `${JSON.stringify(experiment)}\n`);
}
