/**
 * Generates valid, almost valid and broken documents and variables of the schema with fast-check.
 */
import fc from 'fast-check';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLOutputType,
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isNonNullType,
  isUnionType,
} from 'graphql';
import { type Leaf, type SchemaOperation, schema, schemaOperations, variablesOf } from './schema-operations.js';
import { anyCharacters } from './text.js';

export interface GeneratedRequest {
  query: string;
  variables?: unknown;
  operationName?: unknown;
}

/** Texts with a special meaning in some language, and their parts. */
const texts = fc.oneof(
  { weight: 3, arbitrary: anyCharacters({ maxLength: 20 }) },
  { weight: 2, arbitrary: fc.string({ maxLength: 300, unit: 'grapheme' }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...['', ' ', '\0', '\n', '\ud800', '%', "'", '"', '\\', '$1', '{}', '[]', 'null', 'true', '-1', '__proto__'],
      ...['alice', 'ALICE', 'alice@example.com', '@', 'a@b', '+12025550123', '+', '1', 'correct horse battery'],
      ...['BCDF2345', '000000', '1970-01-01T00:00:00Z', '9999-99-99T99:99:99Z', '00000000-0000-0000-0000-000000000000'],
      'x'.repeat(5_000),
    ),
  },
);

const numbers = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 100, 101, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, 1e300, 0.5),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Any JSON value. */
const anything: fc.Arbitrary<unknown> = fc.oneof(
  texts,
  numbers,
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue({ maxDepth: 3 }),
);

/** @param known texts of the running service for leaves: IDs, names, tokens */
function variables(operation: SchemaOperation, known: readonly string[]): fc.Arbitrary<unknown> {
  const right = (leaf: Leaf): fc.Arbitrary<unknown> => {
    if (leaf.values) return fc.constantFrom(...leaf.values);
    if (leaf.type === 'Boolean') return fc.boolean();
    if (leaf.type === 'Int') return fc.integer({ min: -5, max: 120 });
    return fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: texts });
  };
  const values = operation.leaves.map((leaf) =>
    fc.oneof(
      { weight: 16, arbitrary: right(leaf) },
      { weight: leaf.required ? 1 : 8, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: anything },
    ),
  );
  const all = fc
    .tuple(...values)
    .map((given) => variablesOf(operation, (leaf) => given[operation.leaves.indexOf(leaf)]));
  return fc.oneof({ weight: 15, arbitrary: all }, { weight: 1, arbitrary: anything });
}

/** An unknown name, or a name of another type. */
const names = fc.oneof(
  fc.constantFrom(
    'id',
    'me',
    'usernam',
    '__typename',
    '__schema',
    '__type',
    '__proto__',
    'constructor',
    'passwordHash',
    'a',
  ),
  fc.stringMatching(/^[_A-Za-z][_0-9A-Za-z]{0,12}$/),
);

const rarely = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T, weight = 12): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary });

const directives = rarely(
  fc.constantFrom(
    '@skip(if: false)',
    '@include(if: $b)',
    '@skip(if: true)',
    '@skip',
    '@skip(if: "x")',
    '@defer',
    '@nothing(x: 1)',
    '@include(if: false) @include(if: true)',
  ),
  '',
);

const jsonText = (value: unknown) => JSON.stringify(value) ?? 'null';
const anyLiteral: fc.Arbitrary<string> = fc.oneof(
  anything.filter((value) => typeof value !== 'object').map(jsonText),
  fc.constantFrom(
    'null',
    '[]',
    '[[1]]',
    '{}',
    '{ a: 1 }',
    'VERIFICATION',
    'NOTHING',
    '$s',
    '$b',
    '$nothing',
    '1e400',
    '"""block"""',
    '99999999999999999999',
  ),
);

function literal(type: GraphQLInputType, known: readonly string[]): fc.Arbitrary<string> {
  const named = getNullableType(type);
  if (isInputObjectType(named)) {
    const fields = Object.values(named.getFields()).map((field) => given(field, known, isNonNullType(field.type)));
    return rarely(anyLiteral, '').chain((wrong) =>
      wrong === '' ? fc.tuple(...fields).map((all) => `{ ${all.filter(Boolean).join(', ')} }`) : fc.constant(wrong),
    );
  }
  const right = isEnumType(named)
    ? fc.constantFrom(...named.getValues().map(({ name }) => name))
    : String(named) === 'Boolean'
      ? fc.constantFrom('true', 'false')
      : String(named) === 'Int'
        ? fc.integer({ min: -5, max: 120 }).map(String)
        : fc.oneof(fc.constantFrom(...known), texts).map(jsonText);
  return fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: anyLiteral });
}

function given(
  argument: Pick<GraphQLArgument, 'name' | 'type'>,
  known: readonly string[],
  required: boolean,
): fc.Arbitrary<string> {
  const written = fc
    .tuple(rarely(names, argument.name, 40), literal(argument.type, known))
    .map(([name, value]) => `${name}: ${value}`);
  return fc.oneof({ weight: required ? 30 : 1, arbitrary: written }, { weight: 1, arbitrary: fc.constant('') });
}

function field(of: GraphQLField<unknown, unknown>, known: readonly string[], depth: number): fc.Arbitrary<string> {
  const written = of.args.map((argument) => given(argument, known, isNonNullType(argument.type)));
  return fc
    .tuple(
      rarely(
        names.map((name) => `${name}: `),
        '',
      ),
      rarely(names, of.name, 30),
      fc.tuple(...written),
      directives,
      selection(of.type, known, depth + 1),
    )
    .map(([alias, name, all, directive, selected]) => {
      const passed = all.filter(Boolean).join(', ');
      return `${alias}${name}${passed && `(${passed})`} ${directive} ${selected}`;
    });
}

function selection(type: GraphQLOutputType, known: readonly string[], depth: number): fc.Arbitrary<string> {
  const named = getNamedType(type);
  if (!isCompositeType(named)) return rarely(fc.constantFrom('{ id }', '{ }'), '', 40);
  if (depth > 5) return fc.constantFrom('{ __typename }', '{ id }', '');
  return fc
    .array(item(named, known, depth), { minLength: 1, maxLength: depth === 1 ? 2 : 5 })
    .map((items) => `{ ${items.join(' ')} }`);
}

function item(type: GraphQLNamedType, known: readonly string[], depth: number): fc.Arbitrary<string> {
  const members = isUnionType(type) ? [...type.getTypes(), schema.getType('IdentityError')!] : [type];
  const fields = 'getFields' in type ? (Object.values(type.getFields()) as GraphQLField<unknown, unknown>[]) : [];
  const within = fc
    .constantFrom(...members)
    .chain((member) => fragmentSelection(member, known, depth).map((text) => `... on ${member.name} ${text}`));
  return fc.oneof(
    ...(fields.length > 0
      ? [{ weight: 12, arbitrary: fc.constantFrom(...fields).chain((each) => field(each, known, depth)) }]
      : []),
    { weight: fields.length > 0 ? 1 : 12, arbitrary: within },
    { weight: 2, arbitrary: fc.constant('__typename') },
    { weight: 1, arbitrary: fc.oneof(names, fc.constantFrom('...F', '... { id }', '... on Nothing { id }', '...')) },
  );
}

function fragmentSelection(type: GraphQLNamedType, known: readonly string[], depth: number): fc.Arbitrary<string> {
  return fc
    .array(item(type, known, depth + 1), { minLength: 1, maxLength: 4 })
    .map((items) => `{ ${items.join(' ')} }`);
}

function written(known: readonly string[]): fc.Arbitrary<GeneratedRequest> {
  const roots = [
    { kind: 'query', type: schema.getQueryType()! },
    { kind: 'mutation', type: schema.getMutationType()! },
  ];
  return fc
    .tuple(
      fc.constantFrom(...roots).chain(({ kind, type }) => selection(type, known, 1).map((text) => ({ kind, text }))),
      fc.constantFrom(
        '',
        '',
        '($b: Boolean = true)',
        '($s: String, $b: Boolean!)',
        'Name',
        '($s: Nothing)',
        '($s: String = 1)',
        '@skip(if: true)',
      ),
      rarely(
        fc.constantFrom(
          'fragment F on Query { me { id } }',
          'fragment F on User { id ...F }',
          'fragment F on User { id }',
          'query Other { me { id } }',
          'type X { a: Int }',
        ),
        '',
        4,
      ),
      fc.record({ s: anything, b: fc.boolean() }),
    )
    .map(([{ kind, text }, head, tail, values]) => ({ query: `${kind} ${head} ${text} ${tail}`, variables: values }));
}

/** Removes, repeats or replaces parts of a text. */
function broken(request: fc.Arbitrary<GeneratedRequest>): fc.Arbitrary<GeneratedRequest> {
  const junk = fc.oneof(
    fc.constantFrom(
      '{',
      '}',
      '(',
      ')',
      '[',
      ']',
      '"',
      '"""',
      '$',
      '@',
      '...',
      '!',
      '#',
      '\\u0000',
      '\u0000',
      '\ufeff',
      '|',
      ':',
    ),
    texts,
  );
  return fc.tuple(request, fc.nat(), fc.nat({ max: 12 }), junk).map(([{ query, ...rest }, place, length, text]) => {
    const at = place % (query.length + 1);
    return { ...rest, query: `${query.slice(0, at)}${text.slice(0, 200)}${query.slice(at + length)}` };
  });
}

/** @param known texts of the running service: IDs, names, tokens */
export function requests(known: readonly string[]): fc.Arbitrary<GeneratedRequest> {
  const whole = fc
    .constantFrom(...schemaOperations)
    .chain((operation) => variables(operation, known).map((of) => ({ query: operation.document, variables: of })));
  const written_ = written(known);
  const bodies = fc.record({ query: anything as fc.Arbitrary<string>, variables: anything, operationName: anything });
  return fc.oneof(
    { weight: 8, arbitrary: whole },
    { weight: 8, arbitrary: written_ },
    { weight: 3, arbitrary: broken(fc.oneof(whole, written_)) },
    { weight: 1, arbitrary: bodies },
  );
}
