/** The schema as it is emitted: up to date, described, and no less than the contract promises. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  astFromValue,
  buildSchema,
  findBreakingChanges,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
  print,
} from 'graphql';
import { getMetadataStorage } from 'type-graphql';
import { emitSchema } from '../src/graphql/server/schema.js';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

const emitted = buildSchema(emitSchema());
const contract = buildSchema(read('tests/contract.graphql'));

/** Refusals beyond those of the contract, which lets members be added. */
const addedMembers = { UnlockSecurityTokenResult: ['TimeoutError'] };

test('schema.graphql is what the resolvers make', () => {
  assert.ok(read('schema.graphql') === emitSchema(), 'schema.graphql is stale: run `npm run schema`');
});

test('arguments are in the order of the parameters of their resolver', () => {
  const { queries, mutations, fieldResolvers } = getMetadataStorage();
  const inSchema: Record<string, string[]> = {};
  const inSources: Record<string, string[]> = {};
  for (const type of ownTypes(emitted).filter(isObjectType))
    for (const { name, args } of Object.values(type.getFields()).filter((field) => field.args.length > 1)) {
      const resolver = [...queries, ...mutations, ...fieldResolvers].find((each) => each.methodName === name);
      const method: unknown = resolver?.target.prototype[name];
      const [, parameters] = /^async \w+\(([^)]*)\)/.exec(String(method)) ?? assert.fail(`no method ${name}`);
      inSchema[name] = args.map((argument) => argument.name);
      inSources[name] = parameters!.split(/,\s*/).filter((parameter) => inSchema[name]!.includes(parameter));
    }
  assert.ok(Object.keys(inSchema).length >= 8);
  assert.deepEqual(inSchema, inSources);
});

test('everything in the schema has a description', () => {
  const bare = [...describedThings(emitted)].filter(([, description]) => !description?.trim()).map(([name]) => name);
  assert.deepEqual(bare, []);
});

describe('the contract', () => {
  test('is kept', () => {
    const broken = findBreakingChanges(contract, emitted).map(({ description }) => description);
    assert.deepEqual(broken, []);
  });

  // What breaks no client may still break the promise: a field that is never null any more, an argument that may be left out.
  test('has types, nullability, defaults and members as they are here', () => {
    const promised = shapeOf(contract, contract);
    for (const [union, members] of Object.entries(addedMembers))
      promised[union] = [...(promised[union] as string[]), ...members].sort();
    assert.deepEqual(shapeOf(emitted, contract), promised);
  });
});

function* describedThings(schema: GraphQLSchema): Generator<[string, string | null | undefined]> {
  const operations = [schema.getQueryType(), schema.getMutationType()];
  for (const type of ownTypes(schema)) {
    // Descriptions of the root types would say nothing: their names are the language's.
    if (!operations.some((operation) => operation === type)) yield [type.name, type.description];
    if (isEnumType(type)) for (const value of type.getValues()) yield [`${type.name}.${value.name}`, value.description];
    if (!(isObjectType(type) || isInterfaceType(type) || isInputObjectType(type))) continue;
    for (const field of Object.values(type.getFields())) {
      yield [`${type.name}.${field.name}`, field.description];
      for (const argument of argumentsOf(field))
        yield [`${type.name}.${field.name}(${argument.name}:)`, argument.description];
    }
  }
}

function ownTypes(schema: GraphQLSchema): GraphQLNamedType[] {
  return Object.values(schema.getTypeMap()).filter(
    (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
  );
}

/** What `of` says about everything that the contract has. */
function shapeOf(of: GraphQLSchema, contract: GraphQLSchema): Record<string, unknown> {
  const shape: Record<string, unknown> = {};
  for (const { name } of ownTypes(contract)) {
    const promised = contract.getType(name)!;
    const type = of.getType(name);
    if (isUnionType(type)) shape[name] = namesOf(type.getTypes());
    if (isEnumType(type)) shape[name] = namesOf(type.getValues());
    if (isObjectType(type) || isInterfaceType(type)) shape[`${name} implements`] = namesOf(type.getInterfaces());
    if (!('getFields' in promised && type !== undefined && 'getFields' in type)) continue;
    for (const fieldName of Object.keys(promised.getFields())) {
      const field = type.getFields()[fieldName];
      if (field === undefined) continue;
      shape[`${name}.${fieldName}`] = 'args' in field ? String(field.type) : inputShape(field);
      const promisedArguments = namesOf(argumentsOf(promised.getFields()[fieldName]!));
      for (const argument of argumentsOf(field).filter((each) => promisedArguments.includes(each.name)))
        shape[`${name}.${fieldName}(${argument.name}:)`] = inputShape(argument);
    }
  }
  return shape;
}

function argumentsOf(field: GraphQLField<unknown, unknown> | GraphQLInputField): readonly GraphQLArgument[] {
  return 'args' in field ? field.args : [];
}

function inputShape({ type, defaultValue }: GraphQLArgument | GraphQLInputField): string {
  const value = defaultValue === undefined ? undefined : astFromValue(defaultValue, type);
  return value ? `${type} = ${print(value)}` : String(type);
}

function namesOf(things: readonly { name: string }[]): string[] {
  return things.map(({ name }) => name).sort();
}
