/** The caller of an operation, and the client that sent the request. */
import type { LiveSession } from '../database/sessions.queries.js';

/** Network of clients whose address is unknown. */
export const unknownNetwork = '0.0.0.0/32';

/** The client of a request. */
export interface ClientInfo {
  /** null if the proxy does not pass it on */
  ipAddress: string | null;
  /** rate-limit key: an IPv4 address or an IPv6 /64, in CIDR notation */
  network: string;
  userAgent: string | null;
}

/** The signed-in user and their session. */
export type Viewer = LiveSession;

/** The caller; `viewer` is null for an anonymous one. */
export interface Actor {
  viewer: Viewer | null;
  client: ClientInfo;
}
