/** The address in every state, and asked about more often than `enumeration.test.ts` does. */
import { testEnumeration } from '../support/enumeration.js';

await testEnumeration({ every: 1, times: 5 });
