import { lookup as systemLookup, Resolver } from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isPublicAddress } from './public-address.ts';

/** The addresses of a name. Rejects when it has none. */
export type Lookup = (hostname: string) => Promise<LookupAddress[]>;

/** The address is not one that anything may be sent to. */
export class UnsafeTargetError extends Error {}

const DNS_TIMEOUT_MS = 2_000;
const DNS_TRIES = 2;

/**
 * Asks the name servers. The system's own function would hold one of the four threads of the process for as long as a name
 * server of the customer does not answer; this one holds none.
 */
export function createDnsLookup(): Lookup {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  return async (hostname) => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const found = [
      ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
      ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
    ];
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return found;
  };
}

/** Also resolves names of the machine's own files, such as `localhost`. */
export const lookupLocally: Lookup = (hostname) => systemLookup(hostname, { all: true });

/**
 * The lookup of one connection. The connection uses the address that was checked here, so a name cannot resolve to one address
 * for the check and to another for the connection. Leaves out addresses that are not public; UnsafeTargetError when none is left.
 */
export function filterLookup(lookup: Lookup, { allowPrivate }: { allowPrivate: boolean }): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname).then(
      (found) => {
        const allowed = allowPrivate ? found : found.filter(({ address }) => isPublicAddress(address));
        const [first] = allowed;
        if (!first) callback(new UnsafeTargetError('The name resolves to no public address'), '', 0);
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      },
      (cause: unknown) =>
        callback(Object.assign(new Error('The name could not be resolved', { cause }), { code: 'ENOTFOUND' }), '', 0),
    );
  };
}
