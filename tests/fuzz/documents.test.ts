import { testGeneratedDocuments } from './documents.js';

// Fixed, so that a failure is that of the change.
await testGeneratedDocuments(300, 1);
