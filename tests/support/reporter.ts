/** Reports the tests of a worker to the process that started it. Node runs it by `--test-reporter`. */
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** One test that has ended. */
export interface TestReport {
  name: string;
  state: 'passed' | 'failed' | 'skipped';
  /** the failure, with its stack */
  error?: string | undefined;
}

// biome-ignore lint/correctness/useYield: a reporter is a generator, and this one prints nothing
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<never> {
  for await (const { type, data } of events) {
    if (type === 'test:pass' || type === 'test:fail') {
      const { name, skip } = data;
      const failed = type === 'test:fail';
      const { error, type: kind } = data.details as { error?: Error; type?: string };
      // A suite fails with its tests. One that fails by itself, as by a hook, has another cause.
      if (kind === 'suite' && !(failed && failedByItself(error))) continue;
      send({
        name,
        state: failed ? 'failed' : skip === undefined || skip === false ? 'passed' : 'skipped',
        error: failed ? inspect(error?.cause ?? error) : undefined,
      });
    }
  }
}

function failedByItself(error: Error | undefined): boolean {
  return (error as { failureType?: string } | undefined)?.failureType !== 'subtestsFailed';
}

function send(report: TestReport): void {
  process.send?.({ report });
}
