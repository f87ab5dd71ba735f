/**
 * A stranger cannot distinguish an address with an account from an address without: all operations
 * respond with the same results, in the same order, after the same work. `npm run
 * bench:enumeration` compares the time.
 */
import { testEnumeration } from '../support/enumeration.js';

await testEnumeration({ every: 9, times: 2 });
