/**
 * Usernames, emails and phone numbers: how they are parsed, stored, compared and distinguished.
 * Does not read the database.
 */
import { domainToASCII } from 'node:url';
import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js/max';

export const identifierKinds = ['username', 'email', 'phone'] as const;
export type IdentifierKind = (typeof identifierKinds)[number];

/** Identifiers that can receive messages. */
export const addressKinds = ['email', 'phone'] as const;
export type AddressKind = (typeof addressKinds)[number];

/** The field of a user with the address that waits for verification. */
export const pendingFields = { email: 'pendingEmail', phone: 'pendingPhone' } as const;

/** A valid identifier. `value` is stored and displayed; `key` decides uniqueness. */
export interface Identifier {
  kind: IdentifierKind;
  value: string;
  key: string;
}

export type IdentifierFault = 'BLANK' | 'INVALID' | 'TOO_LONG';

const usernameCodePoints = 150;
/** Longer texts stay too long: NFKC merges at most four code points of at most two units. */
const usernameInputUnits = 4 * 2 * usernameCodePoints;
const usernamePattern = /^[\p{L}\p{Mn}\p{Mc}\p{Nl}\p{No}][\p{L}\p{Mn}\p{Mc}\p{N}._-]*$/u;

/** @see RFC 5321 §4.5.3.1.3, without the angle brackets */
const emailBytes = 254;
const localPartPattern = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const typedDomainPattern = /^[-.A-Za-z0-9\u{80}-\u{10FFFF}]+$/u;
const hostnamePattern = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,62}[a-z0-9]$/;
const numbersPattern = /^(?:0x[\da-f]*|\d+)(?:\.(?:0x[\da-f]*|\d+))*$/;

/** The maximum length that libphonenumber accepts. */
const phoneUnits = 250;
/** Punctuation of libphonenumber, without `x` and `~`, which also start an extension. */
const phonePunctuation = String.raw`\-\u2010-\u2015\u2212\u30FC\uFF0D-\uFF0F \u00A0\u00AD\u200B\u2060\u3000()\uFF08\uFF09\uFF3B\uFF3D.\[\]\/\u2053\u223C*`;
/** Also allows white space and invisible characters around the number, as after pasting. */
const phoneEdge = String.raw`[\s\p{Cf}${phonePunctuation}]*`;
const phonePattern = new RegExp(`^${phoneEdge}([+\\uFF0B]*)([${phonePunctuation}\\p{Nd}]*)${phoneEdge}$`, 'u');

/** Parses a username of 1 to 150 code points after NFKC. Keeps the case as typed. */
export function parseUsername(input: string): Identifier | IdentifierFault {
  if (input === '') return 'BLANK';
  if (input.length > usernameInputUnits) return 'TOO_LONG';
  const value = input.normalize('NFKC');
  if ([...value].length > usernameCodePoints) return 'TOO_LONG';
  if (!usernamePattern.test(value)) return 'INVALID';
  return { kind: 'username', value, key: comparisonKey(value) };
}

/** Parses one address of at most 254 bytes. Keeps the local part, stores the domain in ASCII. */
export function parseEmail(input: string): Identifier | IdentifierFault {
  if (input === '') return 'BLANK';
  if (input.length > emailBytes) return 'INVALID';
  const at = input.lastIndexOf('@');
  if (at < 0) return 'INVALID';
  const local = input.slice(0, at);
  const hostname = parseHostname(input.slice(at + 1));
  if (!localPartPattern.test(local) || hostname === undefined) return 'INVALID';
  const value = `${local}@${hostname}`;
  if (value.length > emailBytes) return 'INVALID';
  return { kind: 'email', value, key: comparisonKey(value) };
}

/**
 * Parses a text that consists of one phone number, into E.164.
 * Rejects words, letters for digits and extensions: a wrong guess messages a stranger.
 */
export function parsePhone(input: string, defaultRegion: CountryCode): Identifier | IdentifierFault {
  if (input === '') return 'BLANK';
  if (input.length > phoneUnits) return 'INVALID';
  const [, plus, rest] = phonePattern.exec(input) ?? [];
  if (plus === undefined || rest === undefined) return 'INVALID';
  const digits = rest.replace(/\P{Nd}/gu, '').replace(/\p{Nd}/gu, asciiDigit);
  const number = parsePhoneNumberFromString(plus === '' ? digits : `+${digits}`, defaultRegion);
  if (!number?.isValid()) return 'INVALID';
  return { kind: 'phone', value: number.number, key: number.number };
}

/**
 * Returns the kind of an identifier, valid or not.
 * A username contains no `@` and starts with neither `+` nor a digit, so kinds never overlap.
 */
export function inferKind(input: string): IdentifierKind {
  if (input.includes('@')) return 'email';
  return usernamePattern.test(input.slice(0, usernameInputUnits).normalize('NFKC')) ? 'username' : 'phone';
}

/** Parses an identifier of this kind. */
export function parseAs(kind: IdentifierKind, input: string, defaultRegion: CountryCode): Identifier | IdentifierFault {
  switch (kind) {
    case 'username':
      return parseUsername(input);
    case 'email':
      return parseEmail(input);
    case 'phone':
      return parsePhone(input, defaultRegion);
  }
}

/** Parses an identifier of unknown kind. */
export function parseIdentifier(input: string, defaultRegion: CountryCode): Identifier | IdentifierFault {
  return parseAs(inferKind(input), input, defaultRegion);
}

/** Returns the country calling code of a stored phone, without the plus: `44`. */
export function getCallingCode(phone: string): string {
  const number = parsePhoneNumberFromString(phone);
  if (number === undefined) throw new TypeError('not a phone number in E.164');
  return number.countryCallingCode;
}

/**
 * Returns the text without differences of case, width and composition. Idempotent.
 * Computed here, because `lower()` and `citext` differ between databases.
 * Does not limit the length, so parse first.
 */
export function comparisonKey(text: string): string {
  return text.normalize('NFKC').toLowerCase().normalize('NFC');
}

/** Returns the hostname in lower-case ASCII (UTS 46); undefined for every IP notation. */
function parseHostname(domain: string): string | undefined {
  if (domain === 'localhost') return domain;
  // domainToASCII parses a URL host: it cuts at `/` and `:` and decodes `%41`.
  if (!typedDomainPattern.test(domain)) return undefined;
  // It turns a trailing number into an IPv4 address. The appended label prevents that.
  // Node versions disagree on punycode that decodes to nothing, so ASCII stays unchanged.
  const hostname = /\P{ASCII}/u.test(domain)
    ? domainToASCII(`${domain}.x`).slice(0, -'.x'.length)
    : domain.toLowerCase();
  if (!hostnamePattern.test(hostname) || numbersPattern.test(hostname)) return undefined;
  return hostname;
}

/** Converts any decimal digit to ASCII. Unicode orders them in runs of ten that start at zero. */
function asciiDigit(digit: string): string {
  const codePoint = Number(digit.codePointAt(0));
  let first = codePoint;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first -= 1;
  return String((codePoint - first) % 10);
}
