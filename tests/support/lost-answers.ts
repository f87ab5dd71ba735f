/** Refreshes after a lost response. */
import assert from 'node:assert/strict';
import { type SignedIn } from './people.js';
import type { Service } from './service.js';
import { assertRefreshRefused, refreshed, whoIs } from './sessions.js';

/** Retries a token without a received response on another replica, and only once. */
export async function assertGoesOn(survivor: Service, { id, tokens }: SignedIn): Promise<void> {
  const next = await refreshed(survivor, tokens.refreshToken);
  assert.equal(await whoIs(survivor, next.accessToken), id);
  await refreshed(survivor, next.refreshToken);
  await assertRefreshRefused(survivor, tokens.refreshToken);
  await assertRefreshRefused(survivor, next.refreshToken);
  assert.equal(await whoIs(survivor, next.accessToken), 'UNAUTHENTICATED');
}
