/** bcrypt, by the native package where that has been installed beside the service, else in JavaScript. Both make and read the same hashes. */
import { createRequire } from 'node:module';
import * as bcryptjs from 'bcryptjs';

interface Bcrypt {
  /** the name of the npm package */
  implementation: string;
  hashSync(password: string, cost: number): string;
  compareSync(password: string, hash: string): boolean;
}

/** An optional peer: no compiler has to know it. */
const native = '@node-rs/bcrypt';

export const bcrypt: Bcrypt = loadNative() ?? { ...bcryptjs, implementation: 'bcryptjs' };

function loadNative(): Bcrypt | undefined {
  try {
    const { hashSync, compareSync, parseOptions } = createRequire(import.meta.url)(native);
    // Version 1 takes the cost by itself, and does not read hashes for what they hold.
    const options = (cost: number) => (parseOptions === undefined ? cost : { cost });
    return {
      implementation: native,
      // Version 1 calls the same algorithm `2y`.
      hashSync: (password, cost) => hashSync(password, options(cost)).replace(/^\$2y\$/, () => '$2b$'),
      compareSync,
    };
  } catch {
    // Not installed, or not for this machine: what is used is in the log.
    return undefined;
  }
}
