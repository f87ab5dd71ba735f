/** A line on standard error that is overwritten. */
export interface ProgressBar {
  /** @param part how much is done, from 0 to 1; null where it is unknown */
  show(rows: number, part: number | null): void;
  clear(): void;
}

/** Makes a bar that shows nothing where it is not wanted, and where standard error is no terminal. */
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
      process.stderr.write(`\r\x1b[K${bar}${rows} users, ${rate} a second`);
    },
    clear: () => void process.stderr.write('\r\x1b[K'),
  };
}
