/** Startup errors that the operator can correct. Every layer may throw them. */

/** `EX_CONFIG` of sysexits.h: a restart fails until the operator changes the configuration. */
export const misconfigured = 78;

/** An error that the service and the command line print before they exit with its code. */
export class StartupError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = 1,
    /** the single faults; the message lists all */
    readonly faults: readonly string[] = [message],
  ) {
    super(message);
  }
}

/** All faults of a configuration. */
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
