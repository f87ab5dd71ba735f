/** The published keys of a service. */
import type { JWK } from 'jose';
import { decodeJwt } from './sessions.js';

export async function jwksOf({ url }: { url: string }): Promise<JWK[]> {
  const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: JWK[] };
  return keys;
}

export function kidOf(token: string): string {
  return decodeJwt(token).header.kid as string;
}
