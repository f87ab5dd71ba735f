/** What the tables of PostgreSQL refuse by themselves, whoever writes to them. */
import { after } from 'node:test';
import { testConstraints } from '../support/constraints.js';
import { openTestDatabase } from '../support/database.js';
import { createDatabase } from '../support/service.js';

// Without the rows of other tests: there is one root key.
const database = await openTestDatabase({ url: await createDatabase() });
after(() => database.close());
testConstraints('PostgreSQL', database.db);
