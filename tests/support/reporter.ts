/** Reports the tests of a worker to the process that started it. Node runs it by `--test-reporter`. */
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';
import { compiledFolder } from './root.js';

/** A finished test. */
export interface TestReport {
  name: string;
  state: 'passed' | 'failed' | 'skipped';
  /** the failure with its stack */
  error?: string | undefined;
}

// biome-ignore lint/correctness/useYield: a reporter is a generator, and this one prints nothing
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<never> {
  for await (const { type, data } of events) {
    if (type === 'test:pass' || type === 'test:fail') {
      const { name, skip } = data;
      const failed = type === 'test:fail';
      const { error, type: kind } = data.details as { error?: Error; type?: string };
      // A suite fails with its tests. A suite that fails alone has another cause, such as a hook.
      if (kind === 'suite' && !(failed && failedByItself(error))) continue;
      send({
        name,
        state: failed ? 'failed' : skip === undefined || skip === false ? 'passed' : 'skipped',
        error: failed ? inSources(inspect(error?.cause ?? error)) : undefined,
      });
    }
  }
}

function failedByItself(error: Error | undefined): boolean {
  return (error as { failureType?: string } | undefined)?.failureType !== 'subtestsFailed';
}

/**
 * Names the lines of the sources in a stack of compiled files.
 * Node would do so for every error of a test, which costs up to a tenth of the processor time.
 */
function inSources(stack: string): string {
  return stack.replaceAll(/(?:file:\/\/)?(\/[^\s():]+\.js):(\d+):(\d+)/g, (position, file: string, line, column) => {
    const map = `${file}.map`;
    if (!file.startsWith(compiledFolder) || !existsSync(map)) return position;
    const entry = new SourceMap(JSON.parse(readFileSync(map, 'utf8'))).findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in entry)) return position;
    const { originalSource, originalLine, originalColumn } = entry;
    return `${join(dirname(file), originalSource)}:${originalLine + 1}:${originalColumn + 1}`;
  });
}

function send(report: TestReport): void {
  process.send?.({ report });
}
