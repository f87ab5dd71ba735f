/** Reads JSON Lines for `import --format jsonl`. */
import { z } from 'zod';
import { earliest, type ImportedUser, type ImportProblem } from './imported-user.js';

/** Maximum bytes per line. */
const lineBytes = 65_536;

const instant = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((date) => date >= earliest, 'must be a date from 1900 on');
const throttle = z.strictObject({
  failureCount: z.int().min(0).max(2_147_483_647),
  retryAt: instant.nullable().default(null),
});
/** Longer than any valid identifier in any spelling. */
const identifier = z.string().max(1_200).nullable().default(null);

/** The schema of a line. Every field except `id` is optional. */
const lineSchema = z.strictObject({
  id: z
    .union([z.string(), z.int().transform(String)])
    .pipe(z.string().regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable ASCII characters')),
  username: identifier,
  email: identifier,
  phone: identifier,
  emailVerified: z.boolean().default(false),
  phoneVerified: z.boolean().default(false),
  emailThrottle: throttle.nullable().default(null),
  phoneThrottle: throttle.nullable().default(null),
  passwordHash: z
    .string()
    .regex(/^[\x20-\x7e]{1,1024}$/, 'must be 1 to 1024 printable ASCII characters')
    .nullable()
    .default(null),
  isActive: z.boolean().default(true),
  isStaff: z.boolean().default(false),
  isSuperuser: z.boolean().default(false),
  dateJoined: instant.nullable().default(null),
  lastLogin: instant.nullable().default(null),
});

/** @returns the user, or the problem of the line */
export function readLine(text: string, line: number): ImportedUser | ImportProblem {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return malformed(line, 'The line is not valid JSON.');
  }
  const parsed = lineSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const id = typeof json === 'object' && json !== null && 'id' in json ? json.id : undefined;
  return {
    id: typeof id === 'string' || typeof id === 'number' ? String(id).slice(0, 200) : null,
    line,
    field: issue?.path.join('.') || null,
    code: 'MALFORMED',
    message: `${issue?.message}.`,
  };
}

/** Yields users, or problems of malformed lines. Skips the content of lines over the limit. */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncIterable<ImportedUser | ImportProblem> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const finishLine = () => {
    const [bytes, tooLong] = [Buffer.concat(parts), length > lineBytes];
    parts = [];
    length = 0;
    number += 1;
    if (tooLong) return malformed(number, `The line has more than ${lineBytes} bytes.`);
    let text: string;
    try {
      text = decoder.decode(bytes).trim();
    } catch {
      return malformed(number, 'The line is not valid UTF-8.');
    }
    return text === '' ? undefined : readLine(text, number);
  };
  const add = (bytes: Buffer) => {
    length += bytes.length;
    if (length <= lineBytes) parts.push(bytes);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      const read = finishLine();
      if (read !== undefined) yield read;
    }
    add(chunk.subarray(start));
  }
  const last = length > 0 ? finishLine() : undefined;
  if (last !== undefined) yield last;
}

function malformed(line: number, message: string): ImportProblem {
  return { id: null, line, field: null, code: 'MALFORMED', message };
}
