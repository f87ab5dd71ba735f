/** Constraints of the tables in PostgreSQL. */
import { after } from 'node:test';
import { testConstraints } from '../support/constraints.js';
import { openTestDatabase } from '../support/database.js';
import { createDatabase } from '../support/service.js';

// A separate database, because there can be only one root key.
const database = await openTestDatabase({ url: await createDatabase() });
after(() => database.close());
testConstraints('PostgreSQL', database.db);
