/** The client of a request. */
import ipaddr from 'ipaddr.js';
import { type ClientInfo, unknownNetwork } from '../domain/actor.js';

/** Limits the text that sessions store. */
const maxUserAgentLength = 512;

/**
 * Parses the address of a client, and truncates its user agent.
 * @param address address of the connection, or the value of a trusted proxy
 */
export function readClientInfo(address: string, userAgent: string | undefined): ClientInfo {
  const program = userAgent?.slice(0, maxUserAgentLength) ?? null;
  // A trusted proxy may send `unknown`, an address with a port, or an address with a zone.
  const text = address
    .replace(/^\[(.+)\](?::\d+)?$/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/%.*$/, '');
  if (!ipaddr.isValid(text)) return { ipAddress: null, network: unknownNetwork, userAgent: program };
  const ip = ipaddr.process(text);
  const ipAddress = ip.toString();
  // Providers assign each customer at least a /64.
  const network =
    ip.kind() === 'ipv6' ? `${ipaddr.IPv6.networkAddressFromCIDR(`${ipAddress}/64`)}/64` : `${ipAddress}/32`;
  return { ipAddress, network, userAgent: program };
}
