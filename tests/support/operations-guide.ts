/** Parses docs/operations.md. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './root.js';

export const text = readFileSync(join(root, 'docs/operations.md'), 'utf8');

/** Returns the text below a heading, including its subsections. */
export function section(heading: string): string {
  const [, found] = new RegExp(`^## ${heading}\n(.*?)(?=^## |$(?![^]))`, 'ms').exec(text) ?? [];
  assert.ok(found, `there is no section ${heading}`);
  return found;
}

/** Returns the cells of the first table by row. */
export function table(part: string): string[][] {
  const [, rows] = /^\|[^\n]*\n\|(?:---\|)+\n((?:\|.*\n)+)/m.exec(part)!;
  return rows!
    .trim()
    .split('\n')
    .map((row) => row.slice(2, -2).split(' | '));
}

export const isHere = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
