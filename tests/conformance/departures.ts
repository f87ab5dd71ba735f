/**
 * Where this project departs from the original, django-flex-user, on purpose: one entry per departure, by the rule it follows.
 * A recorded vector to which none applies must hold; one to which one applies must be answered as that one says.
 * The rules are written out again here, so that a mistake in the code under test does not excuse itself.
 */
import { domainToUnicode } from 'node:url';

export interface Departure<Input, Expected, Answer> {
  name: string;
  /** What holds here. */
  rule: string;
  reason: string;
  /** Whether the rule makes us answer this input otherwise than the original did. */
  applies(input: Input, expected: Expected): boolean;
  /** Whether this is the answer the rule asks for. */
  isOurs(answer: Answer, input: Input): boolean;
}

export interface Verdict {
  valid: boolean;
}

export interface PhoneVerdict extends Verdict {
  e164?: string | null;
  extension?: string | null;
}

export interface Obscured {
  ok?: string;
  error?: string;
}

export interface EmailToObscure {
  email: string | null;
  denormalize: boolean;
}

export interface PhoneToObscure {
  phone: string;
  format: string | number;
}

const isRefusal = (answer: string | null) => answer === 'INVALID' || answer === 'TOO_LONG';

const usernameRule = /^[\p{L}\p{Mn}\p{Mc}\p{Nl}\p{No}][\p{L}\p{Mn}\p{Mc}\p{N}._-]*$/u;
const nfkc = (text: string) => text.normalize('NFKC');
const isTooLongForUsername = (text: string) => [...nfkc(text)].length > 150;
const isUsername = (text: string) => !isTooLongForUsername(text) && usernameRule.test(nfkc(text));

const domainOf = (email: string) => email.slice(email.lastIndexOf('@') + 1);
/** The original's validator, but for quoted local parts and address literals: the local part as typed, the domain in ASCII. */
const djangoLocalPart = /^[-!#$%&'*+/=?^_`{}|~0-9A-Z]+(\.[-!#$%&'*+/=?^_`{}|~0-9A-Z]+)*@[^@]*$/i;
const djangoDomain = /^([A-Z0-9]([A-Z0-9-]{0,61}[A-Z0-9])?\.)+[A-Z0-9-]{2,63}$(?<!-)/i;
const isEmailToDjango = (typed: string, stored: string) =>
  djangoLocalPart.test(typed) && (djangoDomain.test(domainOf(stored)) || domainOf(typed) === 'localhost');
const isQuoted = (email: string) => email.startsWith('"');
const isAddressLiteral = (email: string) => /^(\[.*\]|\d+(\.\d+){3})$/.test(domainOf(email));

/** IDNA 2003 wants a label in right-to-left script to end as it begins, RFC 5893 lets it end in digits. */
const rightToLeftBeforeDigits = /(^|\.)[\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}\p{sc=Thaa}][^.\p{sc=Latn}]*\p{Nd}(\.|$)/u;
const unicodeDomainOf = (email: string) => domainToUnicode(domainOf(email));
/** The letters that UTS 46 keeps; its newer versions read ẞ as ß, older ones as ss. */
const deviations = /[ßς]/;

/** As the original reads an extension: behind its own mark, at the end. */
const extensionOf = /(x|ext\.?|#|,,|~|;ext=)\s*\d+$/i;
const hasMoreThanANumber = (text: string) =>
  /[^\p{Nd}\s\p{Cf}+＋()（）［］[\]*./／．\-\u2010-\u2015\u2212ー－\u2053\u223C]/u.test(text);

export const usernameValidator: Departure<string, Verdict, string>[] = [
  {
    name: 'username-length-belongs-to-the-rule',
    rule: 'A username has at most 150 code points after NFKC.',
    reason:
      "The original's validator leaves the length to the column and counts before NFKC, so that thousands were stored.",
    applies: (input, expected) => expected.valid && isTooLongForUsername(input),
    isOurs: (answer) => answer === 'TOO_LONG',
  },
  {
    name: 'username-checked-after-nfkc',
    rule: 'The username rule is applied to the whole of what is stored, the NFKC form.',
    reason: 'The original checks what is typed, up to a line feed: ①abc is accepted and becomes 1abc.',
    applies: (input, expected) => !isTooLongForUsername(input) && expected.valid !== isUsername(input),
    isOurs: (answer, input) =>
      (nfkc(input) !== input || input.endsWith('\n')) && answer === (isUsername(input) ? 'VALID' : 'INVALID'),
  },
];

export const normalizeUsername: Departure<string | null, string | null, string | null>[] = [
  {
    name: 'username-refused-has-no-stored-form',
    rule: 'Checking and normalising a username are one step.',
    reason: 'The original normalises anything, also what its validator refuses.',
    applies: (input) => input !== null && !isUsername(input),
    isOurs: isRefusal,
  },
];

export const emailValidator: Departure<string, Verdict, string>[] = [
  {
    name: 'email-local-part-unquoted',
    rule: 'Quoted local parts are refused.',
    reason: 'A quoted local part holds what the next program takes for a second address.',
    applies: (input, expected) => expected.valid && isQuoted(input),
    isOurs: isRefusal,
  },
  {
    name: 'email-domain-is-a-name',
    rule: 'The domain of an email is a hostname, not an IP address.',
    reason:
      'An address literal has no domain for UTS 46 to normalise, and lets a stranger point our mail at any machine.',
    applies: (input, expected) => expected.valid && isAddressLiteral(input),
    isOurs: isRefusal,
  },
  {
    name: 'uts46-right-to-left',
    rule: 'The domain is read by UTS 46: a right-to-left label may end in digits.',
    reason: 'IDNA 2003 refuses it; RFC 5893, which UTS 46 follows, does not.',
    applies: (input, expected) => !expected.valid && rightToLeftBeforeDigits.test(domainOf(input)),
    isOurs: (answer) => answer === 'VALID',
  },
];

export const normalizeEmail: Departure<string | null, string | null, string | null>[] = [
  {
    name: 'email-refused-has-no-stored-form',
    rule: 'Checking and normalising an email are one step.',
    reason: 'The original normalises anything, also what its validator refuses.',
    applies: (input, expected) => input !== null && expected !== null && !isEmailToDjango(input, expected),
    isOurs: isRefusal,
  },
  {
    name: 'uts46-keeps-letters',
    rule: 'The domain is read by UTS 46: ß and final ς are letters.',
    reason: 'IDNA 2003 writes ss and σ for them, which can be the domain of somebody else.',
    applies: (input, expected) =>
      input !== null &&
      expected !== null &&
      isEmailToDjango(input, expected) &&
      deviations.test(unicodeDomainOf(input)),
    isOurs: (answer, input) => answer !== null && input !== null && unicodeDomainOf(answer) === unicodeDomainOf(input),
  },
];

const noExtension = {
  name: 'phone-without-extension',
  rule: 'A phone number has no extension.',
  reason: 'The original drops it in silence, and a message goes to another person than was meant.',
};

export const phone: Departure<string, PhoneVerdict, string>[] = [
  {
    name: 'phone-empty-is-blank',
    rule: 'The empty string is refused, never taken for null.',
    reason: "The original's validator leaves that to its field.",
    applies: (input) => input === '',
    isOurs: (answer) => answer === 'BLANK',
  },
  {
    ...noExtension,
    applies: (_, expected) => expected.valid && Boolean(expected.extension),
    isOurs: isRefusal,
  },
  {
    name: 'phone-is-the-whole-string',
    rule: 'The whole string is one number: no words around it, no letters for digits.',
    reason: 'The original takes a number out of any text; a guess at a number is a message to a stranger.',
    applies: (input, expected) => expected.valid && !expected.extension && hasMoreThanANumber(input),
    isOurs: isRefusal,
  },
];

export const obscureEmail: Departure<EmailToObscure, Obscured, string>[] = [
  {
    name: 'obscured-as-stored',
    rule: 'A domain is obscured in the ASCII form it is stored in.',
    reason:
      'Turning it back shows two letters where none need be shown, and fails for names that IDNA 2003 does not know.',
    applies: ({ email, denormalize }) => denormalize && email !== null && /@xn--/.test(email),
    isOurs: (answer, { email }) =>
      answer.length === email?.length && [...answer].every((shown, index) => shown === '*' || shown === email[index]),
  },
  {
    name: 'obscured-from-an-address',
    rule: 'Only an email that could be stored is obscured.',
    reason: 'The original reads the domain like a URL and cuts it at a colon, a slash, a space or an empty label.',
    applies: ({ email }) => email !== null && /[:/\s]|\w\.\./.test(domainOf(email)),
    isOurs: (_, { email }) => email !== null && !isEmailToDjango(email, email),
  },
];

export const obscurePhone: Departure<PhoneToObscure, Obscured, string>[] = [
  {
    ...noExtension,
    applies: ({ phone }, expected) => expected.ok !== undefined && extensionOf.test(phone),
    isOurs: (answer) => answer === 'ERROR',
  },
  {
    name: 'obscured-phone-has-one-format',
    rule: 'A phone is shown as it is stored, in E.164.',
    reason: 'There is no format to choose, so there is none to get wrong.',
    applies: ({ format }) => typeof format !== 'string',
    isOurs: (answer) => /^\+\*+\d\d$/.test(answer),
  },
];
