/** The summary that an import prints. */
import type { ImportSummary } from '../domain/import/import.js';
import type { ImportProblem } from '../domain/import/imported-user.js';
import type { ImportOptions } from '../domain/import/run.js';

/** An identifier whose stored form differs from the source. */
export type NormalisedIdentifier = Parameters<ImportOptions['onNormalised']>[0];

/** Describes an import as text. The lists may be shorter than the counts of the summary. */
export function describeImport(
  dryRun: boolean,
  summary: ImportSummary,
  problems: ImportProblem[],
  normalised: NormalisedIdentifier[],
): string {
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  const more = (total: number, list: unknown[]) =>
    total > list.length ? [`  and ${total - list.length} more (see --report)`] : [];
  return [
    `${counted(summary.rows, 'user')} read: ${list(summary.with)}.`,
    `Passwords: ${list(summary.passwords)}.`,
    `${counted(summary.normalisedCount, 'identifier')} normalised${summary.normalisedCount > 0 ? ':' : '.'}`,
    ...normalised.map(
      ({ id, field, from, to }) => `  user ${id}: ${field} ${JSON.stringify(from)} becomes ${JSON.stringify(to)}`,
    ),
    ...more(summary.normalisedCount, normalised),
    `${counted(summary.problemCount, 'problem')}${summary.problemCount > 0 ? ':' : '.'}`,
    ...problems.map(describeProblem),
    ...more(summary.problemCount, problems),
    `${dryRun ? 'Dry run, nothing written. Result of an import: ' : ''}${summary.created} created, ${summary.updated} updated, ${summary.unchanged} unchanged, ${summary.notTaken} skipped.`,
  ].join('\n');
}

function describeProblem({ id, line, field, value, message }: ImportProblem): string {
  const who = id === null ? `line ${line}` : `user ${id}${line === undefined ? '' : ` (line ${line})`}`;
  const what = `${field ?? 'record'}${value === undefined ? '' : ` ${JSON.stringify(value)}`}`;
  // Control characters of a file must not reach the terminal.
  return `  ${who}: ${what}: ${message}`.replace(/\p{C}/gu, '?');
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
