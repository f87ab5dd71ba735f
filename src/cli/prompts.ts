/** Prompts at the terminal. */
import { text } from 'node:stream/consumers';

/** The operator left a prompt without an answer. */
export class PromptLeftError extends Error {}

/** Returns whether the process can prompt at a terminal. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/**
 * Reads a password from standard input, or prompts for it twice at a terminal without echo.
 * @returns null without `--password-stdin` and without a terminal
 * @throws {PromptLeftError}
 */
export async function readPassword({ passwordStdin = false }: { passwordStdin?: boolean }): Promise<string | null> {
  if (passwordStdin) return (await text(process.stdin)).replace(/\r?\n$/, '');
  if (!isInteractive()) return null;
  return prompt(async ({ password: secret }) => {
    const typed = await secret({ message: 'Password' });
    await secret({ message: 'Repeat password', validate: (again) => again === typed || 'The passwords differ.' });
    return typed;
  });
}

/** Prompts at the terminal. @throws {PromptLeftError} */
export async function prompt<T>(ask: (prompts: typeof import('@inquirer/prompts')) => Promise<T>): Promise<T> {
  const prompts = await import('@inquirer/prompts');
  return ask(prompts).catch((error: unknown) => {
    // Inquirer does not export its error class. Without a signal, a prompt rejects only if the
    // operator leaves it.
    throw new PromptLeftError('The prompt was left without an answer.', { cause: error });
  });
}
