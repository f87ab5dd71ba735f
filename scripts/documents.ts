/** Generates the typed documents of the front end and of the tests, where the schema or the documents have changed. */
import { generateDocuments as generateForTests } from '../tests/support/generate-documents.js';
import { generateDocuments as generateForWeb } from '../web/generate.js';

await generateForWeb();
await generateForTests();
