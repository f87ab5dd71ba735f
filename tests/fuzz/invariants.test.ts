import { testHistories } from './invariants.js';

// Fixed, so that a failure is that of the change.
await testHistories(4, 1);
