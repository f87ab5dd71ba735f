/** Constraints of the tables in the embedded database. */
import { after } from 'node:test';
import { testConstraints } from '../support/constraints.js';
import { openTestDatabase } from '../support/database.js';

const database = await openTestDatabase({ url: 'memory:' });
after(() => database.close());
await database.migrate();
testConstraints('the embedded database', database.db);
