/**
 * Runs the test files that `run.ts` sends, one after another, so all share their imports.
 * Each file is a suite, so its hooks run when it ends.
 */
import { after, beforeEach, describe, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { endWorker } from './worker-end.js';

for (let file = await nextFile(); file !== null; file = await nextFile()) await runFile(file);
await endWorker();
process.disconnect();

function nextFile(): Promise<string | null> {
  return new Promise((resolve) => {
    process.once('message', ({ file }: { file: string | null }) => resolve(file));
    process.send?.({ ready: true });
  });
}

async function runFile(path: string): Promise<void> {
  const [cpu, startedAt] = [process.cpuUsage(), performance.now()];
  // A file before may have set it.
  process.exitCode = undefined;
  await new Promise<void>((resolve) => {
    describe('worker', () => {
      describe(path, async () => {
        // Not by the reporter, which would report a blocking test only at its end.
        beforeEach((test) => void process.send?.({ started: (test as TestContext).name }));
        try {
          await import(pathToFileURL(path).href);
        } catch (error) {
          // A failure outside a test fails the file.
          after(() => Promise.reject(error));
        }
      });
      // A hook of the outer suite, because a failing hook prevents later hooks of its suite.
      after(() => void setImmediate(resolve));
    });
  });
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({
    done: {
      seconds: (performance.now() - startedAt) / 1_000,
      cpuSeconds: (user + system) / 1_000_000,
      // Node sets it where something fails after the test that caused it has ended.
      failedLate: process.exitCode !== undefined,
    },
  });
}
