/** What went wrong, in the one form in which forms show it: a refusal, or a request that failed. */
import { CombinedGraphQLErrors } from '@apollo/client';
import type { RefusalFragment } from './generated/graphql.js';

export interface Trouble {
  code: string;
  /** null where everything that is wrong is said at a field */
  message: string | null;
  issues: readonly { field?: string | null; message: string }[];
  /** until the next attempt is evaluated; null where the next one may be made at once */
  waitSeconds: number | null;
}

/** Whether an operation has answered one of its refusals. */
export function isRefusal<Result extends { __typename: string }>(
  result: Result,
): result is Extract<Result, { code: string }> {
  return 'code' in result;
}

/** Every refusal of the schema is told here: one that is added to it does not compile until it is. */
export function troubleOf(refusal: RefusalFragment): Trouble {
  const { code, message } = refusal;
  const plain = { code, message, issues: [], waitSeconds: null };
  switch (refusal.__typename) {
    case 'ValidationError':
      return { ...plain, message: null, issues: refusal.issues };
    case 'TimeoutError':
      return { ...plain, waitSeconds: refusal.retryAfterSeconds };
    case 'InvalidCredentialsError':
    case 'InvalidOneTimePasswordError':
    case 'TransmissionError':
    case 'InvalidSessionError':
    case 'NotFoundError':
      return plain;
    default:
      // The service may be newer than the page: its words will do.
      refusal satisfies never;
      return plain;
  }
}

/** What kept a request from being answered at all. */
export function troubleOfFailure(failure: unknown): Trouble {
  const none = { issues: [], waitSeconds: null };
  if (!CombinedGraphQLErrors.is(failure))
    return { ...none, code: 'NETWORK', message: 'The service cannot be reached. Try again in a moment.' };
  const [{ message, extensions } = { message: 'Something went wrong.' }] = failure.errors;
  const code = String(extensions?.code ?? 'INTERNAL_SERVER_ERROR');
  if (code === 'TIMEOUT') return { ...none, code, message, waitSeconds: Number(extensions?.retryAfterSeconds ?? 1) };
  if (code === 'INTERNAL_SERVER_ERROR')
    return { ...none, code, message: `Something went wrong (${extensions?.errorId ?? 'without an id'}).` };
  return { ...none, code, message };
}
