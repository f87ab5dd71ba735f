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
