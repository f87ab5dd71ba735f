/**
 * Checks the comments of TypeScript sources: length of sentences and lines, and banned words.
 * Usage: `lint-prose [folder…]`. Exits with 1 when a check fails.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'oxc-parser';

const maxWords = 22;
const maxLongShare = 0.01;
const maxColumns = 100;

/** Words and idioms that plain technical English does not need. Code in backticks may hold them. */
const banned = [
  /\b(?:whoever|whomever|somebody|nobody|anybody|everybody|oneself|one's)\b/i,
  /\b(?:is|are|be|was|were|stays?|remains?) good (?:for|until|once)\b|\bgood once\b/i,
  /\b(?:doors?|houses?|rooms|decoys?|rehearsals?|rehears(?:e[sd]?|ing)|refusals?|sealed|sealing|unseal)\b/i,
  /\bfor good\b(?! reason)|\btoo soon\b|\bsees? to\b|\bsuch a one\b/i,
  /\b(?:is|are) dead\b|\b(?:is|are|be|been) had\b|\bgiv(?:e|es|en|ing) back\b|\bgave back\b/i,
  /\b(?:bring|brings|brought|bringing) along\b|\b(?:comes?|came) about\b/i,
  /^Of\b/,
  // A relative clause as the subject hides who acts. A question is no such clause.
  /^Who\b(?!.*\?$)|^What (?:is|are|was|were|has|have|can|cannot|may|must)\b(?!.*\?$)/,
];

export interface Prose {
  sentences: number;
  long: string[];
  wide: string[];
  banned: string[];
}

/** Checks one file. Findings begin with `file:line`. */
export function checkProse(file: string, source: string): Prose {
  const result: Prose = { sentences: 0, long: [], wide: [], banned: [] };
  const lines = source.split('\n');
  for (const block of commentBlocks(file, source)) {
    for (const line of block) {
      const text = lines[line.number - 1] ?? '';
      // A link and a directive of a linter cannot be broken over lines.
      if (text.length > maxColumns && !/https?:\/\/|biome-ignore/.test(text))
        result.wide.push(`${file}:${line.number} has ${text.length} columns`);
    }
    for (const { number, text, prose } of sentences(block)) {
      const words = prose.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
      result.sentences += 1;
      if (words > maxWords) result.long.push(`${file}:${number} has ${words} words: ${text}`);
      for (const pattern of banned) {
        const match = pattern.exec(prose);
        if (match) result.banned.push(`${file}:${number} uses "${match[0].slice(0, 40)}"`);
      }
    }
  }
  return result;
}

interface Line {
  number: number;
  text: string;
}

interface Sentence extends Line {
  /** the text with code masked: code is one word, and is not searched */
  prose: string;
}

/** Groups comment lines. A block comment is one group, and so are adjacent line comments. */
function commentBlocks(file: string, source: string): Line[][] {
  const blocks: Line[][] = [];
  let previousEnd = 0;
  let previousType = '';
  for (const { type, value, start, end } of parseSync(file, source).comments) {
    const first = source.slice(0, start).split('\n').length;
    const lines = value
      .split('\n')
      .map((text, index) => ({ number: first + index, text: text.replace(/^\s*\*+/, '') }));
    const between = source.slice(previousEnd, start);
    const last = blocks.at(-1);
    if (last && type === 'Line' && previousType === 'Line' && /^\n[ \t]*$/.test(between)) last.push(...lines);
    else blocks.push(lines);
    previousEnd = end;
    previousType = type;
  }
  return blocks;
}

/**
 * Splits a group into sentences and skips code blocks.
 * An empty line, a list item and a JSDoc tag begin a new sentence.
 */
function sentences(block: readonly Line[]): Sentence[] {
  const paragraphs: Line[][] = [[]];
  let code = false;
  for (const { number, text } of block) {
    const trimmed = text.trim();
    if (trimmed.startsWith('```')) code = !code;
    else if (!code && !/^(?:biome-ignore|@ts-)/.test(trimmed)) {
      if (/^(?:$|[-*@]|\d+\.)/.test(trimmed)) paragraphs.push([]);
      paragraphs.at(-1)?.push({ number, text: trimmed.replace(/^(?:[-*]|\d+\.|@param \S+|@\w+)\s*/, '') });
    }
  }
  return paragraphs.flatMap(splitParagraph);
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

function splitParagraph(paragraph: readonly Line[]): Sentence[] {
  const text = paragraph.map((line) => line.text).join(' ');
  // A sentence may begin with code. The segmenter expects a capital letter there.
  const masked = text.replace(/`[^`]*`/g, (code) => 'X'.repeat(code.length));
  return [...segmenter.segment(masked)]
    .map(({ segment, index }) => ({
      number: lineAt(paragraph, index),
      text: text.slice(index, index + segment.length).trim(),
      prose: segment.trim(),
    }))
    .filter((sentence) => /\p{L}/u.test(sentence.prose));
}

function lineAt(paragraph: readonly Line[], index: number): number {
  let end = 0;
  for (const line of paragraph) {
    end += line.text.length + 1;
    if (index < end) return line.number;
  }
  return paragraph.at(-1)?.number ?? 0;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !/(?:^|[/\\])(?:node_modules|dist|generated)[/\\]/.test(file))
    .map((file) => join(folder, file))
    .sort();
}

/** Checks folders, prints findings and figures, and returns whether all checks pass. */
function checkFolders(folders: readonly string[]): boolean {
  let passed = true;
  const figures: Record<string, object> = {};
  for (const folder of folders) {
    const files = sourceFiles(folder).map((file) => checkProse(file, readFileSync(file, 'utf8')));
    const count = files.reduce((sum, file) => sum + file.sentences, 0);
    const long = files.flatMap((file) => file.long);
    const wide = files.flatMap((file) => file.wide);
    const words = files.flatMap((file) => file.banned);
    const tooManyLong = long.length > count * maxLongShare;
    const findings = [...(tooManyLong ? long : []), ...wide, ...words];
    for (const finding of findings) console.error(finding);
    if (findings.length > 0) passed = false;
    figures[folder] = {
      sentences: count,
      [`over ${maxWords} words`]: long.length,
      share: `${((100 * long.length) / Math.max(count, 1)).toFixed(1)} %`,
      [`lines over ${maxColumns} columns`]: wide.length,
      'banned words': words.length,
    };
  }
  console.table(figures);
  return passed;
}

if (import.meta.filename === process.argv[1]) {
  const defaults = ['src', 'web', 'packages', 'scripts', 'bench'].filter((folder) => existsSync(folder));
  const given = process.argv.slice(2);
  process.exitCode = checkFolders(given.length > 0 ? given : defaults) ? 0 : 1;
}
