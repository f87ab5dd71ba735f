import { testGeneratedDocuments } from './documents.js';

await testGeneratedDocuments(5_000);
