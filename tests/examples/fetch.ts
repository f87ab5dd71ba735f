import { print } from 'graphql';
import { SignInDocument, type SignInMutation } from '../../web/src/generated/graphql.js';
import { api } from './api.js';
import { tokens } from './tokens.js';

export async function signIn(identifier: string, password: string) {
  const response = await fetch(api, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: print(SignInDocument), variables: { input: { identifier, password } } }),
  });
  const { data, errors } = (await response.json()) as { data?: SignInMutation; errors?: { message: string }[] };
  if (errors || !data) throw new Error(errors?.[0]?.message ?? `HTTP ${response.status}`);
  const { authenticate } = data;
  if (authenticate.__typename === 'AuthenticateSuccess') tokens.store(authenticate.tokens);
  return authenticate;
}
