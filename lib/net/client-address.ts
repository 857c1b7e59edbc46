import { BlockList, isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';

export type ClientAddress = (request: IncomingMessage) => string;

/** With a port, as some proxies write it: `192.0.2.1:4711`, `[2001:db8::1]:4711`, `[2001:db8::1]`. */
const WITH_PORT = /^(?:\[([\da-f:.]+)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})$/i;

/** The address alone. `::ffff:127.0.0.1` is the same host as `127.0.0.1`. */
function plain(text: string): string {
  const trimmed = text.trim();
  const [, version6, version4] = WITH_PORT.exec(trimmed) ?? [];
  return (version6 ?? version4 ?? trimmed).replace(/^::ffff:(?=\d+\.)/i, '');
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/**
 * Where a request comes from. `X-Forwarded-For` counts only as far as trusted proxies (addresses or CIDR ranges) wrote
 * it: the answer is the last address in it that is no trusted proxy. Throws for an entry that is no address.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = new BlockList();
  for (const entry of trustedProxies) {
    const [address = '', bits] = entry.split('/');
    if (bits === undefined) trusted.addAddress(plain(address), family(plain(address)));
    else trusted.addSubnet(plain(address), Number(bits), family(plain(address)));
  }
  const isTrusted = (address: string) => isIP(address) !== 0 && trusted.check(address, family(address));
  return (request) => {
    const peer = plain(request.socket.remoteAddress ?? '');
    if (!isTrusted(peer)) return peer;
    const forwarded = [request.headers['x-forwarded-for'] ?? []].flat().join(',').split(',').map(plain);
    const hops = forwarded.filter((hop) => isIP(hop) !== 0);
    return hops.findLast((hop) => !isTrusted(hop)) ?? peer;
  };
}
