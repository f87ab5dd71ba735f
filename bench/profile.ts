/** Attributes the processor time of a process to packages, layers of the service, and Node. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The profile format of V8.
 * @see https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile
 */
interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[];
  samples: number[];
  timeDeltas: number[];
}

/**
 * Reads the profile of the main thread, the largest file of `--cpu-prof`.
 * @returns percentages of the busy time, largest first
 */
export function readProfile(folder: string, count = 20): { where: string; percent: string }[] {
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
  const profiles = texts.map((text) => JSON.parse(text) as CpuProfile);
  const { nodes, samples, timeDeltas } = profiles.find(({ nodes }) =>
    nodes.some(({ callFrame: { url } }) => url.endsWith('/main.js')),
  )!;
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const spent = new Map<string, number>();
  let total = 0;
  for (const [index, id] of samples.entries()) {
    const own = frames.get(id)!;
    if (own.functionName === '(idle)') continue;
    let where: string | undefined;
    // Attribute work in Node or the kernel to the calling package.
    for (let at: number | undefined = id; where === undefined && at !== undefined; at = callers.get(at))
      where = placeOf(frames.get(at)!.url);
    where ??= own.functionName || own.url;
    total += timeDeltas[index]!;
    spent.set(where, (spent.get(where) ?? 0) + timeDeltas[index]!);
  }
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([where, time]) => ({ where, percent: ((100 * time) / total).toFixed(1) }));
}

function placeOf(url: string): string | undefined {
  const [, inPackage] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  const [, room] = /\/dist\/([\w-]+)/.exec(url) ?? [];
  return inPackage ?? (room && `src/${room}`);
}
