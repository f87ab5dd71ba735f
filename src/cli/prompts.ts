/** Questions at the terminal. */
import { text } from 'node:stream/consumers';

/** The user has left a prompt without an answer. */
export class PromptLeftError extends Error {}

/** Whether a person at a terminal can answer. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/**
 * Reads a password from standard input, or asks for it twice at a terminal. It is never shown.
 * @returns null where there is neither
 * @throws {PromptLeftError}
 */
export async function readPassword({ passwordStdin = false }: { passwordStdin?: boolean }): Promise<string | null> {
  if (passwordStdin) return (await text(process.stdin)).replace(/\r?\n$/, '');
  if (!isInteractive()) return null;
  return prompt(async ({ password: secret }) => {
    const typed = await secret({ message: 'Password' });
    await secret({ message: 'Once more', validate: (again) => again === typed || 'Not the same.' });
    return typed;
  });
}

/** Asks at the terminal. @throws {PromptLeftError} */
export async function prompt<T>(ask: (prompts: typeof import('@inquirer/prompts')) => Promise<T>): Promise<T> {
  const prompts = await import('@inquirer/prompts');
  return ask(prompts).catch((error: unknown) => {
    // Inquirer does not export the class of its error. A prompt without a signal rejects when the user leaves it.
    throw new PromptLeftError('The prompt was left without an answer.', { cause: error });
  });
}
