/** What the tables of the embedded database refuse by themselves, whoever writes to them. */
import { after } from 'node:test';
import { testConstraints } from '../support/constraints.js';
import { openTestDatabase } from '../support/database.js';

const database = await openTestDatabase({ url: 'memory:' });
after(() => database.close());
await database.migrate();
testConstraints('the embedded database', database.db);
