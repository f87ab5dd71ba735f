/**
 * Passes IDs of other users to every operation with an ID argument, including future operations.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { openHostileInputs, textArguments } from '../support/hostile-inputs.js';
import { schemaOperations } from '../support/schema-operations.js';
import { startService } from '../support/service.js';
import { withoutSendLimits } from '../support/strangers-view.js';

const inputs = await openHostileInputs(await startService(withoutSendLimits));
const { anonymous, victim, asker, ask, honest, victimInFull } = inputs;

test('the schema has operations with ID arguments', () => {
  assert.ok(textArguments.length >= 40);
  assert.ok(textArguments.some(({ name }) => name === 'authenticate(input.password)'));
  assert.ok(textArguments.some(({ name }) => name === 'users(search)'));
});

describe('an ID of another user gets the response of an unknown ID', () => {
  const takingIds = schemaOperations.filter(({ leaves }) => leaves.some(({ type }) => type === 'ID'));
  for (const operation of takingIds)
    test(`by ${operation.name}`, async () => {
      const as = await asker('ordinary', operation);
      const [nobodys] = await anonymous.securityTokens('nobody@example.com');
      const session = (await victim.sessions())[0]!.id;
      const before = await victimInFull();
      const answerAbout = async (ids: { user: string; token: string; session: string }) => {
        const { status, data, errors } = await ask(as, operation, (leaf) => {
          if (leaf.type !== 'ID') return honest(leaf);
          if (leaf.path.at(-1) === 'tokenId') return ids.token;
          return operation.name.endsWith('Session') ? ids.session : ids.user;
        });
        return JSON.stringify({ status, data, errors }).replaceAll(/"\d{4}-\d\d-\d\dT[^"]*"/g, '"then"');
      };
      const madeUp = randomUUID();
      const another = await answerAbout({ user: victim.id, token: victim.phoneToken, session });
      const nobody = await answerAbout({ user: madeUp, token: nobodys!.id, session: madeUp });
      assert.equal(another, nobody);
      assert.ok(!another.includes('victim') && !another.includes(victim.id));
      assert.deepEqual(await victimInFull(), before);
    });
});
