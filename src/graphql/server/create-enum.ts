/** GraphQL enums. */
import { registerEnumType } from 'type-graphql';

/** Registers a GraphQL enum whose internal values equal its names. */
export function createEnum<Value extends string>(
  name: string,
  description: string,
  values: Record<Value, string>,
): Record<Value, Value> {
  // Invariant of both assertions: the keys of `values` are the values of the enum.
  const object = Object.fromEntries(Object.keys(values).map((value) => [value, value])) as Record<Value, Value>;
  registerEnumType(object, {
    name,
    description,
    valuesConfig: Object.fromEntries(
      Object.entries<string>(values).map(([value, text]) => [value, { description: text }]),
    ) as never,
  });
  return object;
}
