/**
 * Whether hostile requests are cheap: `npm run bench:inputs`. Measures the processor time of texts in every argument, of documents, of bodies
 * and of hashes of other systems. Client and service are one process. Prints the dearest of each kind, and fails where one is above its limit.
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

/** Of this process with all its threads. What takes long is done three times, of which the least counts. */
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
  console.log(`\n${measured.length} ${kind}, at most ${limitMilliseconds} ms each; the dearest:`);
  const sorted = measured.toSorted((one, other) => other.milliseconds - one.milliseconds);
  for (const [index, { what, milliseconds }] of sorted.entries()) {
    const isAbove = milliseconds >= limitMilliseconds;
    if (isAbove) above += 1;
    if (isAbove || index < 5)
      console.log(`${milliseconds.toFixed(1).padStart(8)} ms  ${what}${isAbove ? '  ABOVE' : ''}`);
  }
}
