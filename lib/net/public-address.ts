import ipaddr from 'ipaddr.js';

/** What is routed at all of IPv6; the forms that hide an IPv4 address in a prefix of zeros lie outside. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3');

/** Whether this is the address of a public host: unicast, not private, local, reserved, mapped or translated to such. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6));
}

/** The address that a URL's host is, in whatever spelling it was written; null when it is a name. */
export function literalAddress({ hostname }: URL): string | null {
  const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return ipaddr.isValid(address) ? address : null;
}
