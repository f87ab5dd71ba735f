/** What docs/operations.md says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './root.js';

export const text = readFileSync(join(root, 'docs/operations.md'), 'utf8');

/** What stands below a heading, up to the next one that is not below it. */
export function section(heading: string): string {
  const [, found] = new RegExp(`^## ${heading}\n(.*?)(?=^## |$(?![^]))`, 'ms').exec(text) ?? [];
  assert.ok(found, `there is no section ${heading}`);
  return found;
}

/** The rows of the first table there, each as its cells. */
export function table(part: string): string[][] {
  const [, rows] = /^\|[^\n]*\n\|(?:---\|)+\n((?:\|.*\n)+)/m.exec(part)!;
  return rows!
    .trim()
    .split('\n')
    .map((row) => row.slice(2, -2).split(' | '));
}

export const isHere = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
