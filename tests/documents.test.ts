/** The documents that clients generate types from. `documents.slow.test.ts` compiles the result. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildSchema, type GraphQLObjectType, isUnionType, Kind, parse, validate } from 'graphql';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const schema = buildSchema(read('schema.graphql'));
const documents = parse(read('documents.graphql'));

test('the documents are valid and exported with the schema', () => {
  assert.deepEqual(validate(schema, documents), []);
  const require = createRequire(import.meta.url);
  for (const name of ['schema.graphql', 'documents.graphql'])
    assert.equal(require.resolve(`flex-identity/${name}`), join(root, name));
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  for (const name of ['schema.graphql', 'documents.graphql', 'dist']) assert.ok(files.includes(name), name);
});

test('the documents hold every operation for users, and each union selects every error', () => {
  const asked = new Set<string>();
  for (const definition of documents.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const type = schema.getRootType(definition.operation) as GraphQLObjectType;
    for (const selection of definition.selectionSet.selections) {
      assert.equal(selection.kind, Kind.FIELD);
      if (selection.kind !== Kind.FIELD) continue;
      asked.add(selection.name.value);
      const answer = type.getFields()[selection.name.value]!.type;
      if (!isUnionType('ofType' in answer ? answer.ofType : answer)) continue;
      const selected = selection.selectionSet!.selections.map((each) =>
        'name' in each ? each.name?.value : undefined,
      );
      assert.ok(selected.includes('__typename') && selected.includes('ExpectedError'), selection.name.value);
    }
  }
  const all = [schema.getQueryType()!, schema.getMutationType()!].flatMap((type) => Object.keys(type.getFields()));
  // Administrative operations, which pages do not need.
  const others = ['generateOneTimePassword', 'setUserPassword', 'createSuperuser'];
  assert.deepEqual(all.filter((name) => !asked.has(name)).sort(), others.sort());
});
