/** The checks of `enumeration.test.ts` in every state of the address, with more repetitions. */
import { testEnumeration } from '../support/enumeration.js';

await testEnumeration({ every: 1, times: 5 });
