import type { SignInMutation } from '../../web/src/generated/graphql.js';

/** What a form does about each outcome of a sign-in. One that is added to the schema does not compile until it is thought of. */
export function outcomeOf(result: SignInMutation['authenticate']): string {
  switch (result.__typename) {
    case 'AuthenticateSuccess':
      return `welcome, ${result.user.username ?? result.user.email}`;
    case 'InvalidCredentialsError':
      return result.message;
    case 'ValidationError':
      return result.issues.map(({ field, message }) => `${field}: ${message}`).join('\n');
    case 'TimeoutError':
      return `try again in ${result.retryAfterSeconds.toFixed()} s`;
    default:
      return result satisfies never;
  }
}
