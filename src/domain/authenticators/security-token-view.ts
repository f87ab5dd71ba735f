/** A security token as a caller sees it. */
import type { SecurityTokenKind } from '../../database/schema.js';

export interface SecurityTokenView {
  id: string;
  kind: SecurityTokenKind;
  /** the masked address */
  name: string;
  /** null for callers other than the owner and staff, like the next three fields */
  verified: boolean | null;
  failureCount: number | null;
  retryAt: Date | null;
  expiresAt: Date | null;
}
