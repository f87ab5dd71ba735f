/** Submitting: one at a time, with what went wrong kept for the form to show. */
import type { OperationVariables } from '@apollo/client';
import { useApolloClient } from '@apollo/client/react';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useCallback, useRef, useState } from 'react';
import { useWait, type Wait } from './kept.js';
import { isRefusal, type Trouble, troubleOf, troubleOfFailure } from './trouble.js';

/** Asks a mutation, and gives what its only field answers. */
export function useAsk() {
  const client = useApolloClient();
  return useCallback(
    async <Data extends object, Variables extends OperationVariables>(
      mutation: TypedDocumentNode<Data, Variables>,
      variables: Variables,
    ): Promise<Exclude<Data[Exclude<keyof Data, '__typename'>], undefined>> => {
      const { data } = await client.mutate({ mutation, variables } as never);
      const field = Object.keys(data as object).find((name) => name !== '__typename')!;
      return (data as Record<string, never>)[field]!;
    },
    [client],
  );
}

type Success<Result> = Exclude<Result, { code: string }>;

export interface Form {
  pending: boolean;
  trouble: Trouble | null;
  wait: Wait;
  /** the first thing that is wrong with the field */
  issueOf(...fields: string[]): string | undefined;
  /** Does the work, unless something is to be waited for. @returns its success; undefined where it was refused or failed */
  run<Result extends { __typename: string }>(work: () => Promise<Result>): Promise<Success<Result> | undefined>;
  forget(): void;
}

/** @param name of what a `TimeoutError` makes wait: forms of one name wait together, and after a reload */
export function useForm(name: string): Form {
  const [pending, setPending] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const underWay = useRef(false);
  const wait = useWait(name);

  return {
    pending,
    trouble,
    wait,
    issueOf: (...fields) => trouble?.issues.find(({ field }) => fields.includes(field ?? ''))?.message,
    forget: () => setTrouble(null),
    async run<Result extends { __typename: string }>(work: () => Promise<Result>) {
      if (underWay.current || wait.seconds > 0) return undefined;
      underWay.current = true;
      setPending(true);
      setTrouble(null);
      try {
        const result = await work();
        if (!isRefusal(result)) return result as Success<Result>;
        fail(troubleOf(result as never));
      } catch (failure) {
        fail(troubleOfFailure(failure));
      } finally {
        underWay.current = false;
        setPending(false);
      }
      return undefined;
    },
  };

  function fail(found: Trouble): void {
    if (found.waitSeconds !== null) wait.start(found.waitSeconds);
    setTrouble(found);
  }
}
