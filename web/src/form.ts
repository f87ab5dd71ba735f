/** Form state: submits one request at a time and holds the error that the form shows. */
import type { OperationVariables } from '@apollo/client';
import { useApolloClient } from '@apollo/client/react';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useCallback, useRef, useState } from 'react';
import { type FormError, isExpectedError, toFormError, toRequestError } from './form-error.js';
import { type Countdown, useCountdown } from './session-storage.js';

/** Returns a function that executes a mutation and resolves to the result of its only field. */
export function useMutationResult() {
  const client = useApolloClient();
  return useCallback(
    async <Data extends object, Variables extends OperationVariables>(
      mutation: TypedDocumentNode<Data, Variables>,
      variables: Variables,
    ): Promise<Exclude<Data[Exclude<keyof Data, '__typename'>], undefined>> => {
      // The options of a generic mutation have a type that TypeScript does not resolve here.
      const { data } = await client.mutate({ mutation, variables } as never);
      // Invariant: each mutation of documents.graphql has exactly one field.
      const field = Object.keys(data as object).find((name) => name !== '__typename')!;
      return (data as Record<string, never>)[field]!;
    },
    [client],
  );
}

type Success<Result> = Exclude<Result, { code: string }>;

export interface FormState {
  pending: boolean;
  error: FormError | null;
  wait: Countdown;
  /** Returns the first validation message for these fields. */
  issueFor(...fields: string[]): string | undefined;
  /** Submits, unless a wait is running. Resolves to undefined if an error is shown instead. */
  run<Result extends { __typename: string }>(submit: () => Promise<Result>): Promise<Success<Result> | undefined>;
  reset(): void;
}

/** @param name of the countdown that a `TimeoutError` starts; forms of one name share it */
export function useForm(name: string): FormState {
  const [pending, setPending] = useState(false);
  const [error, setError] = useState<FormError | null>(null);
  const inFlight = useRef(false);
  const wait = useCountdown(name);

  return {
    pending,
    error,
    wait,
    issueFor: (...fields) => error?.issues.find(({ field }) => fields.includes(field ?? ''))?.message,
    reset: () => setError(null),
    async run<Result extends { __typename: string }>(submit: () => Promise<Result>) {
      if (inFlight.current || wait.seconds > 0) return undefined;
      inFlight.current = true;
      setPending(true);
      setError(null);
      try {
        const result = await submit();
        // Invariant of the documents: a result that is no expected error is the success type.
        if (!isExpectedError(result)) return result as Success<Result>;
        show(toFormError(result as never));
      } catch (failure) {
        show(toRequestError(failure));
      } finally {
        inFlight.current = false;
        setPending(false);
      }
      return undefined;
    },
  };

  function show(found: FormError): void {
    if (found.waitSeconds !== null) wait.start(found.waitSeconds);
    setError(found);
  }
}
