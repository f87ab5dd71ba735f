import { testHistories } from './invariants.js';

await testHistories(25);
