import ipaddr from 'ipaddr.js';

/** Whether this name or address, without brackets, means the machine itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback');
}
