/** The shape in which forms show errors: expected errors of the API and failed requests. */
import { CombinedGraphQLErrors } from '@apollo/client';
import type { ExpectedErrorFragment } from './generated/graphql.js';

export interface FormError {
  code: string;
  /** null if the issues hold every message */
  message: string | null;
  issues: readonly { field?: string | null; message: string }[];
  /** seconds until the next attempt; null if no wait applies */
  waitSeconds: number | null;
}

/** The field of the issue for a `LastCredentialError`. */
export const lastCredentialField = 'lastCredential';

/** Tells whether a result is an expected error of its operation. */
export function isExpectedError<Result extends { __typename: string }>(
  result: Result,
): result is Extract<Result, { code: string }> {
  return 'code' in result;
}

/** Converts an expected error. A new error type does not compile until it is handled here. */
export function toFormError(error: ExpectedErrorFragment): FormError {
  const { code, message } = error;
  const plain = { code, message, issues: [], waitSeconds: null };
  switch (error.__typename) {
    case 'ValidationError':
      return { ...plain, message: null, issues: error.issues };
    case 'TimeoutError':
      return { ...plain, waitSeconds: error.retryAfterSeconds };
    case 'InvalidCredentialsError':
    case 'InvalidOneTimePasswordError':
    case 'TransmissionError':
    case 'InvalidSessionError':
    case 'NotFoundError':
    // `useForm` handles it before, except in the form that authenticates again.
    case 'StepUpRequiredError':
      return plain;
    case 'LastCredentialError':
      // The error names no field. Only a change of an address returns it.
      return { ...plain, message: null, issues: [{ field: lastCredentialField, message }] };
    default:
      // The service may be newer than the page. Its message is enough then.
      error satisfies never;
      return plain;
  }
}

/** Converts the error of a request that returned no result. */
export function toRequestError(error: unknown): FormError {
  const none = { issues: [], waitSeconds: null };
  if (!CombinedGraphQLErrors.is(error))
    return { ...none, code: 'NETWORK', message: 'The service cannot be reached. Try again in a moment.' };
  const [{ message, extensions } = { message: 'Something went wrong. Try again in a moment.' }] = error.errors;
  const code = String(extensions?.code ?? 'INTERNAL_SERVER_ERROR');
  if (code === 'TIMEOUT') return { ...none, code, message, waitSeconds: Number(extensions?.retryAfterSeconds ?? 1) };
  if (code === 'INTERNAL_SERVER_ERROR')
    return {
      ...none,
      code,
      message: `Something went wrong. Tell support this error ID: ${extensions?.errorId ?? 'none'}.`,
    };
  return { ...none, code, message };
}
