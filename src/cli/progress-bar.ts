/** A progress bar on standard error. */
export interface ProgressBar {
  /** Shows the progress. @param part completed part, from 0 to 1; null if unknown */
  show(rows: number, part: number | null): void;
  clear(): void;
}

/**
 * Creates a progress bar. It shows nothing if it is not wanted, or if standard error is not a
 * terminal.
 */
export function createProgressBar(wanted: boolean): ProgressBar {
  if (!wanted || !process.stderr.isTTY) return { show() {}, clear() {} };
  const started = performance.now();
  const width = 30;
  return {
    show(rows, part) {
      const rate = Math.round(rows / ((performance.now() - started) / 1000));
      const done = Math.round(Math.min(1, part ?? 0) * width);
      const bar =
        part === null
          ? ''
          : `[${'#'.repeat(done)}${' '.repeat(width - done)}] ${Math.floor(Math.min(1, part) * 100)} % `;
      process.stderr.write(`\r\x1b[K${bar}${rows} users, ${rate} per second`);
    },
    clear: () => void process.stderr.write('\r\x1b[K'),
  };
}
