/**
 * What counts as a username, an email or a phone number: how each is parsed, stored, compared and told from the others.
 * Nothing here knows who has which.
 */
import { domainToASCII } from 'node:url';
import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js/max';

export const identifierKinds = ['username', 'email', 'phone'] as const;
export type IdentifierKind = (typeof identifierKinds)[number];

/** The identifiers that a message can be sent to. */
export type AddressKind = Exclude<IdentifierKind, 'username'>;

/** An accepted identifier: `value` is what is stored and shown, `key` what uniqueness is decided by. */
export interface Identifier {
  kind: IdentifierKind;
  value: string;
  key: string;
}

export type IdentifierFault = 'BLANK' | 'INVALID' | 'TOO_LONG';

const usernameCodePoints = 150;
/** Every longer text is still too long after NFKC, which makes one code point of at most four, each of at most two units. */
const usernameInputUnits = 4 * 2 * usernameCodePoints;
const usernamePattern = /^[\p{L}\p{Mn}\p{Mc}\p{Nl}\p{No}][\p{L}\p{Mn}\p{Mc}\p{N}._-]*$/u;

/** @see RFC 5321 §4.5.3.1.3, less the angle brackets */
const emailBytes = 254;
const localPartPattern = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const typedDomainPattern = /^[-.A-Za-z0-9\u{80}-\u{10FFFF}]+$/u;
const hostnamePattern = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,62}[a-z0-9]$/;
const numbersPattern = /^(?:0x[\da-f]*|\d+)(?:\.(?:0x[\da-f]*|\d+))*$/;

/** libphonenumber's own bound. */
const phoneUnits = 250;
/** What libphonenumber lets stand between digits, less `x` and `~`, which also announce an extension. */
const phonePunctuation = String.raw`\-\u2010-\u2015\u2212\u30FC\uFF0D-\uFF0F \u00A0\u00AD\u200B\u2060\u3000()\uFF08\uFF09\uFF3B\uFF3D.\[\]\/\u2053\u223C*`;
/** Around the number also white space and the invisible marks that pasting brings along. */
const phoneEdge = String.raw`[\s\p{Cf}${phonePunctuation}]*`;
const phonePattern = new RegExp(`^${phoneEdge}([+\\uFF0B]*)([${phonePunctuation}\\p{Nd}]*)${phoneEdge}$`, 'u');

/** Parses a username: 1 to 150 code points after NFKC, shown as typed but for that. */
export function parseUsername(input: string): Identifier | IdentifierFault {
  if (input === '') return 'BLANK';
  if (input.length > usernameInputUnits) return 'TOO_LONG';
  const value = input.normalize('NFKC');
  if ([...value].length > usernameCodePoints) return 'TOO_LONG';
  if (!usernamePattern.test(value)) return 'INVALID';
  return { kind: 'username', value, key: comparisonKey(value) };
}

/** Parses a single address, of at most 254 bytes as stored: local part as typed, domain in lower-case ASCII. */
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
 * Parses a text that is one phone number and nothing else into E.164.
 * No words around it, no letters for digits, no extension: a guess at a number is a message to a stranger.
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
 * Tells which kind an identifier is by looking at it, whether or not it would be accepted.
 * A username holds no `@` and starts with neither `+` nor a decimal digit, so no string is accepted as two kinds.
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

/** The country calling code of a stored phone, without the plus: `44`. */
export function getCallingCode(phone: string): string {
  const number = parsePhoneNumberFromString(phone);
  if (number === undefined) throw new TypeError('not a phone number in E.164');
  return number.countryCallingCode;
}

/**
 * What two texts have in common when they differ in nothing but case, width or composition. A key is its own key.
 * Done here and not by `lower()` or `citext`, which answer differently from one database to the next.
 * Parse first: the length of the text is not bounded here.
 */
export function comparisonKey(text: string): string {
  return text.normalize('NFKC').toLowerCase().normalize('NFC');
}

/** The domain in lower-case ASCII by UTS 46, where it is a hostname; no IP address in any notation. */
function parseHostname(domain: string): string | undefined {
  if (domain === 'localhost') return domain;
  // domainToASCII reads its argument like the host of a URL: it cuts at `/`, `:` and the like, and decodes `%41`.
  if (!typedDomainPattern.test(domain)) return undefined;
  // It also rewrites what ends in a number to an IPv4 address, or gives up on it; the label put behind prevents that.
  // Versions of Node disagree on punycode that decodes to nothing: a domain in ASCII is left as it is.
  const hostname = /\P{ASCII}/u.test(domain)
    ? domainToASCII(`${domain}.x`).slice(0, -'.x'.length)
    : domain.toLowerCase();
  if (!hostnamePattern.test(hostname) || numbersPattern.test(hostname)) return undefined;
  return hostname;
}

/** Unicode's decimal digits stand in runs of ten, zero first. */
function asciiDigit(digit: string): string {
  const codePoint = Number(digit.codePointAt(0));
  let first = codePoint;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first -= 1;
  return String((codePoint - first) % 10);
}
