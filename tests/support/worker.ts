/**
 * Runs the test files that `run.ts` names, one after another: what they import is loaded once for all of them.
 * Each file is a suite of its own, so its hooks run when it ends.
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
        // Not by the reporter: a test that blocks the process would be reported when it ends.
        beforeEach((test) => void process.send?.({ started: (test as TestContext).name }));
        try {
          await import(pathToFileURL(path).href);
        } catch (error) {
          // What fails outside of a test fails the file.
          after(() => Promise.reject(error));
        }
      });
      // Of the outer suite: a hook that fails keeps the later ones of its suite from running.
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
