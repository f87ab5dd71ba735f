/**
 * Generates the typed documents of the front end and the tests, if the schema or the documents
 * changed.
 */
import { generateDocuments as generateForTests } from '../tests/support/generate-documents.js';
import { generateDocuments as generateForWeb } from '../web/generate.js';

await generateForWeb();
await generateForTests();
