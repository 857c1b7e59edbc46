import { boundedFetch } from '../../../lib/net/bounded-fetch.ts';
import type { BoundedAnswer, BoundedRequest } from '../../../lib/net/bounded-fetch.ts';

/** Nothing that a gateway answers us is longer. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * Sends a request to a gateway, whose agents may answer in its place: a redirect is never followed, and neither time nor
 * body are longer than they may be. Throws the signal's reason, a TimeoutError, or what went wrong.
 */
export function gatewayFetch(url: string | URL, request: Omit<BoundedRequest, 'maxBytes'>): Promise<BoundedAnswer> {
  return boundedFetch(url, { ...request, maxBytes: MAX_BODY_BYTES });
}
