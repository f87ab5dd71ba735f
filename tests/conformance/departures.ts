/**
 * Deliberate departures from django-flex-user, with one rule per entry.
 * A recorded vector must match the response, or the departure that applies to it.
 * The rules are implemented again here, so an error in the tested code does not hide itself.
 */
import { domainToASCII, domainToUnicode } from 'node:url';
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';

export interface Departure<Input, Expected, Answer> {
  name: string;
  /** The rule of this service. */
  rule: string;
  reason: string;
  /** Returns whether the rule changes the response to this input. */
  applies(input: Input, expected: Expected): boolean;
  /** Returns whether the response follows the rule. */
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
export const isUsername = (text: string) => !isTooLongForUsername(text) && usernameRule.test(nfkc(text));

const domainOf = (email: string) => email.slice(email.lastIndexOf('@') + 1);
/**
 * The validator of the original without quoted local parts and address literals. Keeps the local
 * part, and converts the domain to ASCII.
 */
const djangoLocalPart = /^[-!#$%&'*+/=?^_`{}|~0-9A-Z]+(\.[-!#$%&'*+/=?^_`{}|~0-9A-Z]+)*@[^@]*$/i;
const djangoDomain = /^([A-Z0-9]([A-Z0-9-]{0,61}[A-Z0-9])?\.)+[A-Z0-9-]{2,63}$(?<!-)/i;
const isEmailToDjango = (typed: string, stored: string) =>
  djangoLocalPart.test(typed) && (djangoDomain.test(domainOf(stored)) || domainOf(typed) === 'localhost');
const isQuoted = (email: string) => email.startsWith('"');
const isAddressLiteral = (email: string) => /^(\[.*\]|\d+(\.\d+){3})$/.test(domainOf(email));

/**
 * IDNA 2003 requires the same direction at both ends of a right-to-left label. RFC 5893 allows
 * digits at its end.
 */
const rightToLeftBeforeDigits = /(^|\.)[\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}\p{sc=Thaa}][^.\p{sc=Latn}]*\p{Nd}(\.|$)/u;
const unicodeDomainOf = (email: string) => domainToUnicode(domainOf(email));
/** The letters that UTS 46 keeps. Newer versions map ẞ to ß, older versions to ss. */
const deviations = /[ßς]/;

/** The extension format of the original: a mark and digits at the end. */
const extensionOf = /(x|ext\.?|#|,,|~|;ext=)\s*\d+$/i;
export const hasMoreThanANumber = (text: string) =>
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
    rule: 'The username rule applies to the whole stored text, the NFKC form.',
    reason: 'The original checks the typed text up to a line feed: ①abc is accepted and becomes 1abc.',
    applies: (input, expected) => !isTooLongForUsername(input) && expected.valid !== isUsername(input),
    isOurs: (answer, input) =>
      (nfkc(input) !== input || input.endsWith('\n')) && answer === (isUsername(input) ? 'VALID' : 'INVALID'),
  },
];

export const normalizeUsername: Departure<string | null, string | null, string | null>[] = [
  {
    name: 'username-refused-has-no-stored-form',
    rule: 'Validation and normalisation of a username are one step.',
    reason: 'The original normalises any text, even if its validator rejects it.',
    applies: (input) => input !== null && !isUsername(input),
    isOurs: isRefusal,
  },
];

export const emailValidator: Departure<string, Verdict, string>[] = [
  {
    name: 'email-local-part-unquoted',
    rule: 'Quoted local parts are rejected.',
    reason: 'Other programs may parse a quoted local part as a second address.',
    applies: (input, expected) => expected.valid && isQuoted(input),
    isOurs: isRefusal,
  },
  {
    name: 'email-domain-is-a-name',
    rule: 'The domain of an email is a hostname, not an IP address.',
    reason: 'UTS 46 cannot normalise an address literal. Strangers could direct our mail to any machine.',
    applies: (input, expected) => expected.valid && isAddressLiteral(input),
    isOurs: isRefusal,
  },
  {
    name: 'uts46-right-to-left',
    rule: 'The domain is parsed by UTS 46: a right-to-left label may end in digits.',
    reason: 'IDNA 2003 rejects it. RFC 5893, which UTS 46 follows, does not.',
    applies: (input, expected) => !expected.valid && rightToLeftBeforeDigits.test(domainOf(input)),
    isOurs: (answer) => answer === 'VALID',
  },
];

export const normalizeEmail: Departure<string | null, string | null, string | null>[] = [
  {
    name: 'email-refused-has-no-stored-form',
    rule: 'Validation and normalisation of an email are one step.',
    reason: 'The original normalises any text, even if its validator rejects it.',
    applies: (input, expected) => input !== null && expected !== null && !isEmailToDjango(input, expected),
    isOurs: isRefusal,
  },
  {
    name: 'uts46-keeps-letters',
    rule: 'The domain is parsed by UTS 46: ß and final ς are letters.',
    reason: 'IDNA 2003 maps them to ss and σ, which can be the domain of another owner.',
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
  reason: 'The original drops it silently, and a message reaches an unintended person.',
};

export const phone: Departure<string, PhoneVerdict, string>[] = [
  {
    name: 'phone-empty-is-blank',
    rule: 'The empty string is rejected, not treated as null.',
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
    reason: 'The original extracts a number from any text. A wrong guess sends a message to a stranger.',
    applies: (input, expected) => expected.valid && !expected.extension && hasMoreThanANumber(input),
    isOurs: isRefusal,
  },
];

export const maskEmail: Departure<EmailToObscure, Obscured, string>[] = [
  {
    name: 'obscured-as-stored',
    rule: 'A domain is masked in its stored ASCII form.',
    reason: 'Converting it back reveals two letters needlessly, and fails for names that IDNA 2003 rejects.',
    applies: ({ email, denormalize }) => denormalize && email !== null && /@xn--/.test(email),
    isOurs: (answer, { email }) =>
      answer.length === email?.length && [...answer].every((shown, index) => shown === '*' || shown === email[index]),
  },
  {
    name: 'obscured-from-an-address',
    rule: 'Only a storable email is masked.',
    reason: 'The original parses the domain like a URL, and cuts it at a colon, slash, space or empty label.',
    applies: ({ email }) => email !== null && /[:/\s]|\w\.\./.test(domainOf(email)),
    isOurs: (_, { email }) => email !== null && !isEmailToDjango(email, email),
  },
];

export const maskPhone: Departure<PhoneToObscure, Obscured, string>[] = [
  {
    ...noExtension,
    applies: ({ phone }, expected) => expected.ok !== undefined && extensionOf.test(phone),
    isOurs: (answer) => answer === 'ERROR',
  },
  {
    name: 'obscured-phone-has-one-format',
    rule: 'A phone is masked in its stored form, E.164.',
    reason: 'A choice of formats permits wrong formats.',
    applies: ({ format }) => typeof format !== 'string',
    isOurs: (answer) => /^\+\*+\d\d$/.test(answer),
  },
];

/**
 * A departure that may apply together with others. They change the recorded response in order.
 * The response must match the result.
 */
export interface Amendment<Input, Answer> {
  name: string;
  /** The rule of this service. */
  rule: string;
  reason: string;
  /** Changes the expected response according to the rule. */
  amend(input: Input, due: Answer): Answer;
}

/** Requests that fail before the operation, by error code. */
export interface Unexecuted {
  error: 'BAD_USER_INPUT';
}

const unexecuted: Unexecuted = { error: 'BAD_USER_INPUT' };

export interface Identifiers {
  username?: string | null;
  email?: string | null;
  phone?: string | null;
}

export const canonicalEmail = (email: string) =>
  email.slice(0, email.lastIndexOf('@') + 1) + domainToASCII(domainOf(email));
export const e164 = (phone: string) => parsePhoneNumberFromString(phone, 'US')?.number ?? null;
const inOneCase = (text: string) => nfkc(text).toLowerCase().normalize('NFC');

/** The canonical form for uniqueness. */
const keyRules: Record<keyof Identifiers, (typed: string) => string | null> = {
  username: inOneCase,
  email: (typed) => inOneCase(canonicalEmail(typed)),
  phone: e164,
};
export const keyOf = (kind: keyof Identifiers, typed: string | null | undefined) =>
  typed == null ? null : keyRules[kind](typed);

export interface SignUp {
  args: Identifiers & Record<string, unknown>;
  existing?: Identifiers[];
}

export interface SignedUp {
  user: {
    username: string | null;
    email: string | null;
    phone: string | null;
    pendingEmail: string | null;
    pendingPhone: string | null;
    hasUsablePassword: boolean;
    isStaff: boolean;
    isSuperuser: boolean;
  };
  tokens: { email: { verified: boolean } | null; phone: { verified: boolean } | null };
}

/** Codes by field, `__all__` for the whole input. */
export interface Issues {
  issues: Record<string, string[]>;
}

export type SignUpAnswer = SignedUp | Issues | Unexecuted;

const withIssue = (due: SignUpAnswer, field: string, code: string): Issues => ({
  issues: { ...('issues' in due ? due.issues : {}), [field]: [code] },
});
/** Invalid input is not looked up, so its other fields are not reported as taken. */
const withFault = (due: SignUpAnswer, field: string, code: string): Issues => {
  const faults = 'issues' in due ? Object.entries(due.issues).filter(([, codes]) => !codes.includes('TAKEN')) : [];
  return withIssue({ issues: Object.fromEntries(faults) }, field, code);
};
const isFaulty = (due: SignUpAnswer) =>
  'error' in due || ('issues' in due && Object.values(due.issues).some((codes) => !codes.includes('TAKEN')));
const isTakenHere = (kind: keyof Identifiers, { args, existing = [] }: SignUp) =>
  keyOf(kind, args[kind]) !== null && existing.some((user) => keyOf(kind, user[kind]) === keyOf(kind, args[kind]));
const isSaidTaken = (field: string, due: SignUpAnswer) =>
  'issues' in due && due.issues[field]?.includes('TAKEN') === true;

function signedUp({ username, email, phone, password }: SignUp['args']): SignedUp {
  const token = { verified: false };
  return {
    user: {
      username: username == null ? null : nfkc(username),
      email: email == null ? null : canonicalEmail(email),
      phone: phone == null ? null : e164(phone),
      pendingEmail: null,
      pendingPhone: null,
      hasUsablePassword: password != null,
      isStaff: false,
      isSuperuser: false,
    },
    tokens: { email: email == null ? null : token, phone: phone == null ? null : token },
  };
}

export const createUser: Amendment<SignUp, SignUpAnswer>[] = [
  {
    name: 'sign-up-offers-no-flags',
    rule: 'Sign-up accepts only username, email, phone and password.',
    reason: 'The caller of the original is a program. Here any client calls, and must not set its own role.',
    amend: ({ args }, due) =>
      Object.keys(args).every((name) => ['username', 'email', 'phone', 'password'].includes(name)) ? due : unexecuted,
  },
  {
    name: 'email-length-belongs-to-the-rule',
    rule: 'An email has at most 254 bytes as stored.',
    reason: 'The original measures the typed text. The database rejects a domain that is longer in ASCII.',
    amend: ({ args: { email } }, due) =>
      email?.includes('@') && Buffer.byteLength(canonicalEmail(email)) > 254 ? withFault(due, 'email', 'INVALID') : due,
  },
  {
    name: 'username-checked-after-nfkc',
    rule: 'The username rule and its length apply to the whole stored text, the NFKC form.',
    reason: 'The original checks the typed text: ½cup became 1⁄2cup, and 150 characters became thousands.',
    amend: ({ args: { username } }, due) =>
      !('user' in due) || username == null || isUsername(username)
        ? due
        : withFault(due, 'username', isTooLongForUsername(username) ? 'TOO_LONG' : 'INVALID'),
  },
  {
    name: 'phone-is-one-number',
    rule: 'The whole string is one number: no words around it, no letters for digits, no extension.',
    reason: 'The original extracts a number from any text. A wrong guess sends a message to a stranger.',
    amend: ({ args: { phone } }, due) =>
      typeof phone === 'string' && hasMoreThanANumber(phone) && !('error' in due)
        ? withFault(due, 'phone', 'INVALID')
        : due,
  },
  {
    name: 'password-is-not-blank',
    rule: 'The empty password is rejected.',
    reason: 'In the original it is a valid password that signs its user in.',
    amend: ({ args: { password } }, due) => (password === '' ? withFault(due, 'password', 'BLANK') : due),
  },
  {
    name: 'uts46-keeps-letters',
    rule: 'The domain is parsed by UTS 46: ß and final ς are letters, and joiners depend on the script.',
    reason: 'IDNA 2003 maps the letters to ss and σ and drops the joiner, so another owner may have it.',
    amend: (input, due) => {
      const email = input.args.email;
      if (email == null || isFaulty(due)) return due;
      if (isSaidTaken('email', due)) return isTakenHere('email', input) ? due : signedUp(input.args);
      if (!('user' in due) || due.user.email === canonicalEmail(email)) return due;
      return canonicalEmail(email).endsWith('@') ? withFault(due, 'email', 'INVALID') : signedUp(input.args);
    },
  },
  {
    name: 'email-without-case',
    rule: 'An email is unique case-insensitively.',
    reason: 'Alice@ and alice@ are one mailbox. The original compares the local part case-sensitively.',
    amend: (input, due) =>
      !isFaulty(due) && isTakenHere('email', input) && !isSaidTaken('email', due)
        ? withIssue(due, 'email', 'TAKEN')
        : due,
  },
  {
    name: 'username-in-the-lower-case-of-unicode',
    rule: 'The comparison key uses the lower case of Unicode, including the rule of the final ς.',
    reason: 'The original uses the lower case of the database, which differs between databases.',
    amend: (input, due) =>
      !isFaulty(due) && isTakenHere('username', input) && !isSaidTaken('username', due)
        ? withIssue(due, 'username', 'TAKEN')
        : due,
  },
];

export interface Update {
  user: Identifiers & { password: string };
  existing: Identifiers[];
  set: Identifiers;
}

export const updateUser: Amendment<Update, SignUpAnswer>[] = [
  {
    name: 'email-without-case',
    rule: 'An email is unique case-insensitively.',
    reason: 'Alice@ and alice@ are one mailbox. The original compares the local part case-sensitively.',
    amend: ({ set, existing }, due) =>
      !isFaulty(due) && isTakenHere('email', { args: { ...set }, existing }) && !isSaidTaken('email', due)
        ? withIssue(due, 'email', 'TAKEN')
        : due,
  },
  {
    name: 'changed-address-waits',
    rule: 'A changed or added address counts once it is verified. Until then the current one stays.',
    reason: 'In the original a typing error or a thief locks the owner out, and anyone squats on an address.',
    amend: ({ user: before, set }, due) => {
      if (!('user' in due)) return due;
      const user = { ...due.user };
      for (const [kind, waiting] of [
        ['email', 'pendingEmail'],
        ['phone', 'pendingPhone'],
      ] as const) {
        if (set[kind] == null || keyOf(kind, set[kind]) === keyOf(kind, before[kind])) continue;
        user[waiting] = user[kind];
        user[kind] = before[kind] ?? null;
      }
      return { ...due, user };
    },
  },
];

export type SignIn = Identifiers & { password?: string | null } & Record<string, unknown>;

/** The label of the signed-in user; null for wrong credentials. */
export type SignInAnswer = { user: string | null } | Issues | Unexecuted;

export interface Person extends Identifiers {
  password?: string;
  is_active?: boolean;
}

/** Returns the user who signs in by our rules. */
function whoSignsIn(people: Map<string, Person>, input: SignIn): string | null {
  const given = (['username', 'email', 'phone'] as const).filter((kind) => input[kind] != null);
  const isNamed = (person: Person) =>
    given.every((kind) => keyOf(kind, input[kind]) !== null && keyOf(kind, input[kind]) === keyOf(kind, person[kind]));
  for (const [label, person] of people) {
    const isProved = Boolean(person.password) && person.password?.normalize('NFC') === input.password?.normalize('NFC');
    if (given.length > 0 && isNamed(person) && isProved && person.is_active !== false) return label;
  }
  return null;
}

export const authenticate = (people: Map<string, Person>): Amendment<SignIn, SignInAnswer>[] => {
  /** Accepts credentials that the original rejects, if this rule makes the difference. */
  const letIn = (input: SignIn, due: SignInAnswer, makesTheDifference: (person: Person) => boolean): SignInAnswer => {
    const label = 'user' in due && due.user === null ? whoSignsIn(people, input) : null;
    return label !== null && makesTheDifference(people.get(label)!) ? { user: label } : due;
  };
  return [
    {
      name: 'sign-in-is-typed',
      rule: 'Sign-in requires identifiers and a password. Other input is not executed.',
      reason: 'The original accepts any fields, and treats a missing password as wrong.',
      amend: (input, due) =>
        input.password == null ||
        Object.keys(input).some((name) => !['identifier', 'username', 'email', 'phone', 'password'].includes(name))
          ? unexecuted
          : due,
    },
    {
      name: 'empty-password-signs-nobody-in',
      rule: 'The empty password signs no user in, not even an imported user.',
      reason: 'In the original it is a valid password.',
      amend: ({ password }, due) => (password === '' && 'user' in due ? { user: null } : due),
    },
    {
      name: 'authenticate-normalises',
      rule: 'Sign-in normalises its input like sign-up before the comparison.',
      reason: 'In the original the caller must do so, and often does not.',
      amend: (input, due) =>
        letIn(
          input,
          due,
          () =>
            (input.email != null && input.email !== canonicalEmail(input.email)) ||
            (input.username != null && input.username !== nfkc(input.username)),
        ),
    },
    {
      name: 'email-without-case',
      rule: 'An email is compared case-insensitively.',
      reason: 'Alice@ and alice@ are one mailbox. The original compares the local part case-sensitively.',
      amend: (input, due) =>
        letIn(
          input,
          due,
          ({ email }) => input.email != null && email != null && canonicalEmail(input.email) !== canonicalEmail(email),
        ),
    },
    {
      name: 'password-compared-after-nfc',
      rule: 'A password matches in any Unicode composition.',
      reason: 'Keyboards compose é differently, and users cannot see it.',
      amend: (input, due) => letIn(input, due, ({ password }) => input.password !== password),
    },
  ];
};

/** The names of the listed tokens by kind. */
export type LookUpAnswer = { email: string[]; phone: string[] } | Unexecuted;

export const securityTokens = (people: Map<string, Person>): Amendment<string | null, LookUpAnswer>[] => {
  const userNamed = (username: string) =>
    [...people.values()].find((person) => keyOf('username', person.username) === inOneCase(username));
  /** The first two characters, but at most half. */
  const obscured = (text: string) =>
    text.replace(/./g, (character, at: number) => (at < Math.min(2, Math.floor(text.length / 2)) ? character : '*'));
  return [
    {
      name: 'look-up-is-typed',
      rule: 'A look-up requires an identifier.',
      reason: 'The original treats a missing identifier as unknown.',
      amend: (identifier, due) => (identifier === null ? unexecuted : due),
    },
    {
      name: 'inactive-user-has-no-addresses',
      rule: 'The addresses of an inactive user are unknown.',
      reason: "In the original an inactive user's one-time password signs in.",
      amend: (identifier, due) =>
        identifier !== null && isUsername(identifier) && userNamed(identifier)?.is_active === false
          ? { email: [], phone: [] }
          : due,
    },
    {
      name: 'look-up-by-email-lists-that-email',
      rule: 'A look-up by email lists only that address, masked as typed, with or without an account.',
      reason: 'The original reveals whether an address has an account, and shows the other addresses.',
      amend: (identifier, due) => {
        if (identifier === null || !isEmailToDjango(identifier, canonicalEmail(identifier))) return due;
        const [local, domain] = canonicalEmail(identifier).split('@') as [string, string];
        const [name, ...suffix] = domain.split('.') as [string, ...string[]];
        return {
          email: [
            `${obscured(local)}@${[obscured(name), ...suffix.map((label) => label.replace(/./g, '*'))].join('.')}`,
          ],
          phone: [],
        };
      },
    },
    {
      name: 'look-up-by-phone-lists-that-phone',
      rule: 'A look-up by phone lists only that number, with or without an account.',
      reason: 'The original reveals whether a number has an account, and shows the other addresses.',
      amend: (identifier, due) => {
        if (identifier === null || isUsername(identifier) || identifier.includes('@')) return due;
        const number = parsePhoneNumberFromString(identifier, 'US');
        if (!number?.isValid() || hasMoreThanANumber(identifier)) return due;
        return { email: [], phone: [number.number.replace(/\d(?=\d\d)/g, '*')] };
      },
    },
  ];
};

/**
 * A rule that changes whole traces of one-time passwords. The trace model runs with and without it.
 */
export interface TraceDeparture {
  name: 'generating-keeps-the-count' | 'null-is-no-password' | 'entry-forgives' | 'told-code-verifies-nothing';
  rule: string;
  reason: string;
}

export const oneTimePasswordTrace: TraceDeparture[] = [
  {
    name: 'generating-keeps-the-count',
    rule: 'A new one-time password lowers neither the failure count nor the wait.',
    reason: 'The original clears both, so guesses are unlimited: generate, guess, generate …',
  },
  {
    name: 'null-is-no-password',
    rule: 'A check requires a one-time password: null is not executed and not counted.',
    reason: 'The original compares it, and counts a failure.',
  },
  {
    name: 'entry-forgives',
    rule: 'Case, spaces and dashes of a one-time password are ignored.',
    reason: 'The original uses any printable characters. Users of this service can type them by eye.',
  },
  {
    name: 'told-code-verifies-nothing',
    rule: 'A one-time password that a superuser tells works for verified addresses only.',
    reason: 'It was not sent, so it shows nothing about who reads the address.',
  },
];

/** A rule that changes the tokens of changing addresses. */
export interface ChangeDeparture {
  name:
    | 'generating-keeps-the-count'
    | 'counters-belong-to-the-address'
    | 'changed-address-waits'
    | 'new-address-gets-a-code'
    | 'first-verification-owns'
    | 'one-door'
    | 'email-without-case'
    | 'phone-is-one-number';
  rule: string;
  reason: string;
}

export const tokenOnChange: ChangeDeparture[] = [
  {
    name: 'generating-keeps-the-count',
    rule: 'A new one-time password lowers neither the failure count nor the wait.',
    reason: 'The original clears both, so guesses are unlimited: generate, guess, generate …',
  },
  {
    name: 'counters-belong-to-the-address',
    rule: 'Failures are counted by address: each address has its own count, even after it is restored.',
    reason: 'Responses are alike for addresses with and without an account. The original moves the count.',
  },
  {
    name: 'changed-address-waits',
    rule: 'A changed or added address counts once it is verified. Until then the current one stays.',
    reason: 'In the original a typing error or a thief locks the owner out, and anyone squats on an address.',
  },
  {
    name: 'new-address-gets-a-code',
    rule: 'A one-time password is sent to a changed or added address at once.',
    reason: 'It counts for nothing before it is verified.',
  },
  {
    name: 'first-verification-owns',
    rule: 'Once one address of the sign-up is verified, the other one waits for its own verification.',
    reason: 'An account with an owner reserves only what the owner has verified.',
  },
  {
    name: 'one-door',
    rule: 'Every change is validated and normalised, and changes the token with the address.',
    reason: 'In the original, unvalidated saves and queries make user and token inconsistent.',
  },
  {
    name: 'email-without-case',
    rule: 'An email in another case is the same address and stays verified.',
    reason: 'Alice@ and alice@ are one mailbox. The original compares the local part case-sensitively.',
  },
  {
    name: 'phone-is-one-number',
    rule: 'The whole string is one number: no words around it, no letters for digits, no extension.',
    reason: 'The original extracts a number from any text. A wrong guess sends a message to a stranger.',
  },
];
