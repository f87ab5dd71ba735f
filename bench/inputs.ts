/**
 * Measures the processor time of hostile requests: `npm run bench:inputs`.
 * The inputs are texts in every argument, documents, bodies and imported hashes. Client and service
 * share a process.
 * Prints the most expensive inputs of each kind, and fails if one exceeds its limit.
 */
import { readForeignHash } from '../src/security/imported-hashes.js';
import { endlessHashes } from '../tests/support/foreign-hashes.js';
import { bodies, documents, post, statusOf } from '../tests/support/hostile-documents.js';
import { dearTexts, openHostileInputs, textArguments } from '../tests/support/hostile-inputs.js';
import { withService } from './in-process.js';

interface Measured {
  what: string;
  milliseconds: number;
}

let above = 0;

await withService({ bcryptCost: 4 }, async (service) => {
  const { asker, ask, honest } = await openHostileInputs(service);
  const texts: Measured[] = [];
  for (const { operation, leaf, name } of textArguments) {
    const as = await asker('superuser', operation);
    for (const { what, text } of dearTexts) {
      const given = text();
      const work = () => ask(as, operation, (each) => (each === leaf ? given : honest(each)), leaf);
      texts.push({ what: `${name}: ${what}`, milliseconds: await leastOf(work) });
    }
  }
  report('texts', texts, 100);

  const refused: Measured[] = [];
  for (const [what, query] of Object.entries(documents)) {
    const body = JSON.stringify({ query });
    refused.push({ what, milliseconds: await leastOf(() => post(service.url, body)) });
  }
  report('documents', refused, 100);

  const sent: Measured[] = [];
  for (const [what, body] of Object.entries(bodies))
    sent.push({ what, milliseconds: await leastOf(() => statusOf(service.url, body)) });
  report('bodies', sent, 250);

  const hashes: Measured[] = [];
  for (const hash of endlessHashes())
    hashes.push({ what: hash.slice(0, 24), milliseconds: await leastOf(async () => readForeignHash(hash)) });
  report('hashes of a million letters', hashes, 200);
});
process.exit(above === 0 ? 0 : 1);

/**
 * Measures the processor time of all threads. Repeats a slow input three times and uses the
 * minimum.
 */
async function leastOf(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  while (times.length < 3 && !(Math.min(...times) < 20)) {
    const start = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1_000);
  }
  return Math.min(...times);
}

function report(kind: string, measured: readonly Measured[], limitMilliseconds: number): void {
  console.log(`\n${measured.length} ${kind}, at most ${limitMilliseconds} ms each; the most expensive:`);
  const sorted = measured.toSorted((one, other) => other.milliseconds - one.milliseconds);
  for (const [index, { what, milliseconds }] of sorted.entries()) {
    const isAbove = milliseconds >= limitMilliseconds;
    if (isAbove) above += 1;
    if (isAbove || index < 5)
      console.log(`${milliseconds.toFixed(1).padStart(8)} ms  ${what}${isAbove ? '  ABOVE' : ''}`);
  }
}
