import { ReauthenticateDocument, UpdateAccountDocument } from '../../web/src/generated/graphql.js';
import { client } from './apollo-client.js';

type StepUpRequired<Result> = Extract<Result, { __typename: 'StepUpRequiredError' }>;

/**
 * Runs an operation. If it requires a step-up, asks the user and repeats the operation once.
 * @param ask resolves to whether the user authenticated
 */
export async function withStepUp<Result extends { __typename: string }>(
  run: () => Promise<Result>,
  ask: (error: StepUpRequired<Result>) => Promise<boolean>,
): Promise<Result> {
  const result = await run();
  if (!isStepUpRequired(result)) return result;
  return (await ask(result)) ? run() : result;
}

function isStepUpRequired<Result extends { __typename: string }>(result: Result): result is StepUpRequired<Result> {
  return result.__typename === 'StepUpRequiredError';
}

/** Changes the email. The new one is pending until the user enters its code. */
export function changeEmail(email: string, askForPassword: () => Promise<string>) {
  const change = async () => {
    const { data } = await client.mutate({ mutation: UpdateAccountDocument, variables: { input: { email } } });
    return data!.updateUser;
  };
  return withStepUp(change, async ({ password }) => {
    // Then offer a code to one of `securityTokens`.
    if (!password) return false;
    const currentPassword = await askForPassword();
    const { data } = await client.mutate({ mutation: ReauthenticateDocument, variables: { currentPassword } });
    return data!.reauthenticate.__typename === 'ReauthenticateSuccess';
  });
}
