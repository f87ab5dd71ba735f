/**
 * An address that somebody has and one that nobody has, asked about by a stranger in every way: the same answers, in the same order, after the same work.
 * `npm run bench:enumeration` compares the time.
 */
import { testEnumeration } from '../support/enumeration.js';

await testEnumeration({ every: 9, times: 2 });
