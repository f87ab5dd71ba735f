/** Errors of the start that the operator can correct. Every layer may throw them. */

/** `EX_CONFIG` of sysexits.h: another start fails too, until the configuration is changed. */
export const misconfigured = 78;

/** An error that the service and the command line report in one line, and exit with its code. */
export class StartupError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = 1,
    /** each fault by itself; the message lists them all */
    readonly faults: readonly string[] = [message],
  ) {
    super(message);
  }
}

/** The faults of a configuration, all of them at once. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError';
  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
      misconfigured,
      faults,
    );
  }
}
