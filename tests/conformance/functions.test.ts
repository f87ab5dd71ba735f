import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as masking from '../../src/domain/authenticators/masking.js';
import {
  type Identifier,
  type IdentifierFault,
  inferKind,
  parseEmail,
  parsePhone,
  parseUsername,
} from '../../src/domain/identifiers.js';
import * as departures from './departures.js';
import { readVectors } from './vectors.js';

interface Replay<Input, Expected, Answer> {
  vectors: string;
  departures: departures.Departure<Input, Expected, Answer>[];
  answer(input: Input, expected: Expected): Answer;
  /** The response by the rules of the original. */
  original(expected: Expected): Answer;
}

/** Compares every recorded vector with our response, or with the departure that applies. */
function replay<Input, Expected, Answer>({ vectors, departures, answer, original }: Replay<Input, Expected, Answer>) {
  const recorded = readVectors<Input, Expected>(vectors);

  test(`${vectors} match the original where no departure applies`, () => {
    for (const { input, expected } of recorded) {
      if (departures.some((departure) => departure.applies(input, expected))) continue;
      assert.deepEqual(answer(input, expected), original(expected), JSON.stringify(input));
    }
  });

  for (const departure of departures) {
    test(`${vectors} depart: ${departure.rule}`, () => {
      const departing = recorded.filter(({ input, expected }) => departure.applies(input, expected));
      assert.ok(departing.length > 0, `${departure.name} applies to no vector`);
      for (const { input, expected } of departing) {
        const ours = answer(input, expected);
        assert.ok(departure.isOurs(ours, input), `${JSON.stringify(input)} gives ${JSON.stringify(ours)}`);
        assert.notDeepEqual(ours, original(expected), `${JSON.stringify(input)} does not depart`);
      }
    });
  }
}

const verdict = (parsed: Identifier | IdentifierFault) => (typeof parsed === 'string' ? parsed : 'VALID');
const stored = (parsed: Identifier | IdentifierFault) => (typeof parsed === 'string' ? parsed : parsed.value);

/**
 * The formats of the original differ only in punctuation. Puts the digits into the recorded format.
 */
function formatLike(answer: string, e164: string): string {
  const digits = [...e164.replace(/\D/g, '')];
  return [...answer]
    .map((_, index) => answer.at(-1 - index)!)
    .map((character) => (/[\d*]/.test(character) ? (digits.pop() ?? '0') : character))
    .reverse()
    .join('');
}

describe('the functions of the original', () => {
  replay<string, departures.Verdict, string>({
    vectors: 'username_validator',
    departures: departures.usernameValidator,
    answer: (input) => verdict(parseUsername(input)),
    original: ({ valid }) => (valid ? 'VALID' : 'INVALID'),
  });

  replay<string | null, string | null, string | null>({
    vectors: 'normalize_username',
    departures: departures.normalizeUsername,
    answer: (input) => (input === null ? null : stored(parseUsername(input))),
    original: (expected) => expected,
  });

  replay<string, departures.Verdict, string>({
    vectors: 'email_validator',
    departures: departures.emailValidator,
    answer: (input) => verdict(parseEmail(input)),
    original: ({ valid }) => (valid ? 'VALID' : 'INVALID'),
  });

  replay<string | null, string | null, string | null>({
    vectors: 'normalize_email',
    departures: departures.normalizeEmail,
    answer: (input) => (input === null ? null : stored(parseEmail(input))),
    original: (expected) => expected,
  });

  replay<string, departures.PhoneVerdict, string>({
    vectors: 'phone',
    departures: departures.phone,
    answer: (input) => stored(parsePhone(input, 'US')),
    original: ({ valid, e164 }) => (valid ? String(e164) : 'INVALID'),
  });

  replay<departures.EmailToObscure, departures.Obscured, string>({
    vectors: 'obscure_email',
    departures: departures.maskEmail,
    answer: ({ email }) => {
      try {
        return masking.maskEmail(email ?? '');
      } catch {
        return 'ERROR';
      }
    },
    original: ({ ok }) => ok ?? 'ERROR',
  });

  replay<departures.PhoneToObscure, departures.Obscured, string>({
    vectors: 'obscure_phone',
    departures: departures.maskPhone,
    answer: ({ phone, format }, { ok }) => {
      const parsed = parsePhone(phone, 'US');
      if (typeof parsed === 'string') return 'ERROR';
      if (format === 'E164' || ok === undefined) return masking.maskPhone(parsed.value);
      return masking.maskPhone(formatLike(ok, parsed.value));
    },
    original: ({ ok }) => ok ?? 'ERROR',
  });

  replay<string, Record<string, string>, string>({
    vectors: 'infer_identifier',
    departures: [],
    answer: inferKind,
    original: (expected) => Object.keys(expected).join(),
  });
});
