import type { SignInMutation } from '../../web/src/generated/graphql.js';

/** Returns the text that a form shows for each result. A result type that is added to the schema does not compile. */
export function describeResult(result: SignInMutation['authenticate']): string {
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
