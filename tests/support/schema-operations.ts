/** The operations of the emitted schema: their arguments, and documents that select everything. */
import {
  buildSchema,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  getNullableType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isNonNullType,
  isUnionType,
} from 'graphql';
import { emitSchema } from '../../src/graphql/server/schema.js';

export const schema = buildSchema(emitSchema());

/** A scalar argument, or a scalar field of an input object. */
export interface Leaf {
  /** like `['input', 'password']` */
  path: readonly [string, ...string[]];
  type: string;
  required: boolean;
  /** the values of an enum */
  values?: readonly string[];
}

export interface SchemaOperation {
  kind: 'query' | 'mutation';
  name: string;
  /** with a variable of the same name for each argument */
  document: string;
  leaves: readonly Leaf[];
}

const factsOfRefusals =
  '... on IdentityError { code message ... on ValidationError { issues { field code message } } ... on TimeoutError { retryAt retryAfterSeconds failureCount } }';

export const schemaOperations: readonly SchemaOperation[] = [
  ...operationsOf('query', schema.getQueryType()!),
  ...operationsOf('mutation', schema.getMutationType()!),
];

export function schemaOperation(name: string): SchemaOperation {
  const operation = schemaOperations.find((each) => each.name === name);
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return operation;
}

/** Builds the variables of a document from its leaves, and omits undefined ones. */
export function variablesOf(
  { leaves }: SchemaOperation,
  give: (leaf: Leaf) => unknown,
): Record<string, Record<string, unknown>> {
  const variables: Record<string, Record<string, unknown>> = {};
  for (const leaf of leaves) {
    let holder: Record<string, unknown> = variables;
    for (const name of leaf.path.slice(0, -1)) {
      // Input objects are present even if they are empty.
      holder[name] ??= {};
      holder = holder[name] as Record<string, unknown>;
    }
    const value = give(leaf);
    if (value !== undefined) holder[leaf.path.at(-1)!] = value;
  }
  return variables;
}

function operationsOf(kind: SchemaOperation['kind'], root: GraphQLObjectType): SchemaOperation[] {
  return Object.values(root.getFields()).map(({ name, args, type }) => {
    const declared = args.map((argument) => `$${argument.name}: ${argument.type}`).join(', ');
    const passed = args.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
    const leaves = args.flatMap((argument) => leavesOf([argument.name], argument.type));
    return {
      kind,
      name,
      document: `${kind} ${declared && `(${declared})`} { ${name}${passed && `(${passed})`} ${selectionOf(type)} }`,
      leaves,
    };
  });
}

function leavesOf(path: [string, ...string[]], type: GraphQLInputType): Leaf[] {
  const named = getNullableType(type);
  if (isInputObjectType(named))
    return Object.values(named.getFields()).flatMap((field) => leavesOf([...path, field.name], field.type));
  const values = isEnumType(named) ? named.getValues().map(({ name }) => name) : undefined;
  return [{ path, type: String(named), required: isNonNullType(type), ...(values && { values }) }];
}

/** Selects all fields up to the depth limit, and errors by their interface. */
function selectionOf(type: GraphQLOutputType, depth = 1): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  if (isUnionType(named)) {
    const successes = named.getTypes().filter((member) => member.getInterfaces().length === 0);
    return `{ __typename ${successes.map((member) => `... on ${member.name} ${selectionOf(member, depth)}`).join(' ')} ${factsOfRefusals} }`;
  }
  const fields = Object.values((named as GraphQLObjectType).getFields()).filter(
    (field) => field.args.length === 0 && (depth < 5 || isLeafType(getNamedType(field.type))),
  );
  const selected = fields.map((field) => `${field.name} ${selectionOf(field.type, depth + 1)}`).join(' ');
  return `{ ${isAbstractType(named) ? '__typename ' : ''}${selected} }`;
}
