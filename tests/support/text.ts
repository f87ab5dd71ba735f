/** Texts for property tests. */
import fc from 'fast-check';

const surrogates = 0x800;

const character = fc
  .integer({ min: 0, max: 0x10ffff - surrogates })
  .map((number) => String.fromCodePoint(number < 0xd800 ? number : number + surrogates));

/** Texts of any characters. `fc.string({ unit: 'binary' })` takes seconds to build its table. */
export function anyCharacters(length: fc.ArrayConstraints = {}): fc.Arbitrary<string> {
  return fc.array(character, length).map((characters) => characters.join(''));
}
