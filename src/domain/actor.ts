/** Who asks, and from where. */
import type { LiveSession } from '../database/sessions.queries.js';

/** Where a request comes from. */
export interface ClientInfo {
  /** null where a proxy does not tell it */
  ipAddress: string | null;
  /** what limits count: an IPv4 address or the /64 of an IPv6 one, in CIDR notation */
  network: string;
  userAgent: string | null;
}

/** Who is signed in, in which session. */
export type Viewer = LiveSession;

/** Who asks. */
export interface Actor {
  viewer: Viewer | null;
  client: ClientInfo;
}
