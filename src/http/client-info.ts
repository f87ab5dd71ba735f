/** Where a request comes from. */
import ipaddr from 'ipaddr.js';
import { type ClientInfo, unknownNetwork } from '../domain/actor.js';

/** The rest is dropped, because sessions store the text. */
const maxUserAgentLength = 512;

/**
 * Reads the address and the program of a client.
 * @param address as the connection or a trusted proxy states it
 */
export function readClientInfo(address: string, userAgent: string | undefined): ClientInfo {
  const program = userAgent?.slice(0, maxUserAgentLength) ?? null;
  // A trusted proxy may state `unknown`, an address with its port, or one with a zone.
  const text = address
    .replace(/^\[(.+)\](?::\d+)?$/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/%.*$/, '');
  if (!ipaddr.isValid(text)) return { ipAddress: null, network: unknownNetwork, userAgent: program };
  const ip = ipaddr.process(text);
  const ipAddress = ip.toString();
  // A network gives each customer at least a /64.
  const network =
    ip.kind() === 'ipv6' ? `${ipaddr.IPv6.networkAddressFromCIDR(`${ipAddress}/64`)}/64` : `${ipAddress}/32`;
  return { ipAddress, network, userAgent: program };
}
