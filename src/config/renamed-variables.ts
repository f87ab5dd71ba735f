/**
 * Former names of variables. Version 0.1 accepts them with a warning, and the next version removes
 * them.
 */
const currentNames: ReadonlyMap<string, string> = new Map([
  ['GUESSES_PER_HOUR', 'FAILED_ATTEMPTS_PER_HOUR'],
  ['AUDIT_DAYS', 'AUDIT_RETENTION_DAYS'],
  ['WEB', 'WEB_PAGES'],
  ['DRAIN_SECONDS', 'SHUTDOWN_DRAIN_SECONDS'],
  ['PASSWORD_THREADS', 'PASSWORD_HASH_THREADS'],
  ['SMS_DIAL_CODES', 'SMS_CALLING_CODES'],
  ['DATABASE_POOLER', 'DATABASE_TRANSACTION_POOLER'],
  ['OTP_MAX_TIMEOUT_SECONDS', 'OTP_MAX_RETRY_DELAY_SECONDS'],
]);

/** A variable that the environment sets by its former name. */
export interface RenamedVariable {
  former: string;
  current: string;
}

/**
 * Moves each value from a former name to the current name.
 * @returns the environment by current names, the former names in use, and a fault for each variable
 * with both names
 */
export function acceptFormerNames(env: NodeJS.ProcessEnv): {
  given: NodeJS.ProcessEnv;
  renamed: RenamedVariable[];
  faults: string[];
} {
  const given = { ...env };
  const renamed: RenamedVariable[] = [];
  const faults: string[] = [];
  for (const [former, current] of currentNames) {
    const value = given[former];
    if (value === undefined) continue;
    if (given[current] !== undefined) faults.push(`${former} is the former name of ${current}: set only ${current}`);
    given[current] ??= value;
    renamed.push({ former, current });
  }
  return { given, renamed, faults };
}

/** Describes the use of a former name to the operator. */
export function describeRenamed({ former, current }: RenamedVariable): string {
  return `${former} is now ${current}. The next version does not read ${former}.`;
}
