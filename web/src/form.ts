/** Form state: submits one request at a time and holds the error that the form shows. */
import type { OperationVariables } from '@apollo/client';
import { useApolloClient } from '@apollo/client/react';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useCallback, useRef, useState } from 'react';
import { type FormError, isExpectedError, toFormError, toRequestError } from './form-error.js';
import type { ExpectedErrorFragment } from './generated/graphql.js';
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

/** An operation that waits until the user has authenticated again. */
export interface StepUp {
  /** It lists how the user can authenticate. */
  error: Extract<ExpectedErrorFragment, { __typename: 'StepUpRequiredError' }>;
  /** Repeats the operation, or gives it up. */
  close(authenticated: boolean): void;
}

export interface FormState {
  pending: boolean;
  error: FormError | null;
  wait: Countdown;
  /** null unless an operation waits; `StepUpGate` shows it */
  stepUp: StepUp | null;
  /** Returns the first validation message for these fields. */
  issueFor(...fields: string[]): string | undefined;
  /**
   * Submits, unless a wait is running. Submits again after the user has authenticated again.
   * Resolves to undefined if an error is shown instead, or the user gave up.
   */
  run<Result extends { __typename: string }>(submit: () => Promise<Result>): Promise<Success<Result> | undefined>;
}

/** @param name of the countdown that a `TimeoutError` starts; forms of one name share it */
export function useForm(name: string): FormState {
  const [pending, setPending] = useState(false);
  const [error, setError] = useState<FormError | null>(null);
  const [stepUp, setStepUp] = useState<StepUp | null>(null);
  const inFlight = useRef(false);
  const wait = useCountdown(name);

  return {
    pending,
    error,
    wait,
    stepUp,
    issueFor: (...fields) => error?.issues.find(({ field }) => fields.includes(field ?? ''))?.message,
    async run<Result extends { __typename: string }>(submit: () => Promise<Result>) {
      if (inFlight.current || wait.seconds > 0) return undefined;
      inFlight.current = true;
      setPending(true);
      setError(null);
      try {
        for (;;) {
          const result = await submit();
          // Invariant of the documents: a result that is no expected error is the success type.
          if (!isExpectedError(result)) return result as Success<Result>;
          const expected = result as object as ExpectedErrorFragment;
          if (expected.__typename !== 'StepUpRequiredError') {
            show(toFormError(expected));
            return undefined;
          }
          if (!(await authenticateAgain(expected))) return undefined;
        }
      } catch (failure) {
        show(toRequestError(failure));
      } finally {
        inFlight.current = false;
        setPending(false);
      }
      return undefined;
    },
  };

  function authenticateAgain(error: StepUp['error']): Promise<boolean> {
    return new Promise((resolve) => {
      const close = (authenticated: boolean) => {
        setStepUp(null);
        resolve(authenticated);
      };
      setStepUp({ error, close });
    });
  }

  function show(found: FormError): void {
    if (found.waitSeconds !== null) wait.start(found.waitSeconds);
    setError(found);
  }
}
