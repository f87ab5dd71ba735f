/** Parses the Dockerfile for tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './root.js';

export interface Instruction {
  name: string;
  text: string;
}

/** The stages of the Dockerfile, each from its `FROM`. */
export const stages: Instruction[][] = [];
for (const line of readFileSync(join(root, 'Dockerfile'), 'utf8')
  .replace(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter(Boolean)) {
  const [, name, text] = /^([A-Z]+) (.+)$/.exec(line)!;
  if (name === 'FROM') stages.push([]);
  stages.at(-1)!.push({ name: name!, text: text! });
}
export const [build, final] = stages as [Instruction[], Instruction[]];
export const textOf = (stage: Instruction[], name: string) =>
  stage.filter((each) => each.name === name).map(({ text }) => text);
export const environmentOfImage = Object.fromEntries(
  textOf(final, 'ENV').flatMap((text) => text.split(' ').map((pair) => pair.split('=') as [string, string])),
);
export const command = JSON.parse(textOf(final, 'CMD')[0]!) as string[];
