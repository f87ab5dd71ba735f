/**
 * bcrypt, by the native package if it is installed, else in JavaScript. Both have the same hash
 * format.
 */
import { createRequire } from 'node:module';
import * as bcryptjs from 'bcryptjs';

interface Bcrypt {
  /** the name of the npm package */
  implementation: string;
  hashSync(password: string, cost: number): string;
  compareSync(password: string, hash: string): boolean;
}

/** A variable, so compilers do not resolve the optional peer dependency. */
const native = '@node-rs/bcrypt';

export const bcrypt: Bcrypt = loadNative() ?? { ...bcryptjs, implementation: 'bcryptjs' };

function loadNative(): Bcrypt | undefined {
  try {
    const { hashSync, compareSync, parseOptions } = createRequire(import.meta.url)(native);
    // Version 1 accepts the cost as a number, and has no `parseOptions`.
    const options = (cost: number) => (parseOptions === undefined ? cost : { cost });
    return {
      implementation: native,
      // Version 1 writes `2y` for the same algorithm.
      hashSync: (password, cost) => hashSync(password, options(cost)).replace(/^\$2y\$/, () => '$2b$'),
      compareSync,
    };
  } catch {
    // Not installed, or not built for this platform. The service logs the implementation at start.
    return undefined;
  }
}
