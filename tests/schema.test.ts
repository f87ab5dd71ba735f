/** Checks that the emitted schema is up to date, described, and compatible with the contract. */
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

/** Members that the schema adds to the contract, which permits additions. */
const addedMembers = { AuditEventKind: ['REAUTHENTICATED'], CheckOneTimePasswordResult: ['StepUpRequiredError'] };

test('schema.graphql equals the emitted schema', () => {
  assert.ok(read('schema.graphql') === emitSchema(), 'schema.graphql is stale: run `npm run schema`');
});

test('arguments have the order of the parameters of their resolver', () => {
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

test('no description starts with "Of"', () => {
  const nominal = [...describedThings(emitted)]
    .filter(([, description]) => description?.startsWith('Of '))
    .map(([name]) => name);
  assert.deepEqual(nominal, []);
});

test('every element of the schema has a description', () => {
  const bare = [...describedThings(emitted)].filter(([, description]) => !description?.trim()).map(([name]) => name);
  assert.deepEqual(bare, []);
});

describe('the contract', () => {
  test('has no breaking change', () => {
    const broken = findBreakingChanges(contract, emitted).map(({ description }) => description);
    assert.deepEqual(broken, []);
  });

  // Some changes break the contract but no client: a field becomes non-null, or an argument becomes
  // optional.
  test('has the types, nullability, defaults and members of the schema', () => {
    const promised = shapeOf(contract, contract);
    for (const [union, members] of Object.entries(addedMembers))
      promised[union] = [...(promised[union] as string[]), ...members].sort();
    assert.deepEqual(shapeOf(emitted, contract), promised);
  });
});

function* describedThings(schema: GraphQLSchema): Generator<[string, string | null | undefined]> {
  for (const type of ownTypes(schema)) {
    yield [type.name, type.description];
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

/** Returns the shape that `of` gives to each element of the contract. */
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
