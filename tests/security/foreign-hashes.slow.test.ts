/** Expensive imported hashes, and many damaged hashes. */
import { describe } from 'node:test';
import {
  dearForms,
  foreignHashes,
  openPasswords,
  testDamagedForeignHash,
  testForeignHash,
} from '../support/foreign-hashes.js';

const passwords = openPasswords();

describe('a hash of another system', () => {
  for (const form of dearForms) testForeignHash(form, passwords, { wrong: 1 });
  for (const form of Object.keys(foreignHashes)) testDamagedForeignHash(form, passwords, { read: 2_000, computed: 25 });
});
