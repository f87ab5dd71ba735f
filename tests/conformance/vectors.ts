/** The recorded responses of django-flex-user, one vector per line. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/root.js';

export interface Vector<Input, Expected> {
  input: Input;
  expected: Expected;
}

export function readVectors<Input, Expected>(name: string): Vector<Input, Expected>[] {
  const lines = readFileSync(join(root, `tests/conformance/vectors/${name}.jsonl`), 'utf8')
    .trim()
    .split('\n');
  assert.ok(lines.length > 1, `${name} holds no vector`);
  return lines.map((line) => JSON.parse(line));
}
