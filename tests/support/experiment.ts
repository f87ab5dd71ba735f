/**
 * Fault experiments: they count acknowledged and lost operations, and measure the recovery time.
 * `npm test` runs those in `tests/faults/*.test.ts` at a small scale.
 * `npm run test:faults` runs them and those in `*.experiment.ts` at full size.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';

/** Whether this is `npm run test:faults`. */
export const full = process.env.FAULTS_RECORDS !== undefined;

export interface Findings {
  /** operations with a success response during the fault or shortly around it */
  acknowledged: number;
  /** acknowledged operations that the database does not contain */
  lost: number;
  /** accepted wrong secrets, including used ones */
  wrongYes: number;
  /** time from the repair to the first success for each fault; empty if nothing stops */
  recoveredAfterMilliseconds: readonly number[];
  /** further counts by name */
  also?: Readonly<Record<string, number | string>>;
}

/** A row of the table at the end of `npm run test:faults`. */
export type ExperimentRecord = { fault: number; title: string } & (
  | { outcome: 'passed'; findings: Findings }
  | { outcome: 'failed'; findings: Findings | null }
  | { outcome: 'not run'; because: string }
);

/**
 * Runs a fault of `docs/security.md`. Skips it, and records that, if a required program is missing.
 * @param needs programs of Debian's packages, like `haproxy`
 * @param run causes and repairs the fault, reports its findings, and then asserts, so failures have
 * findings, too
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
