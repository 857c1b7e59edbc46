import { Thermidora } from '../../../sdk/typescript/src/client.ts';

const HEADER = 'X-Thermidora-Console';

/** Calls of the console carry a header that pages of other origins cannot send, and the cookie of the session. */
export function consoleFetch(url: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set(HEADER, '1');
  return fetch(url, { ...init, headers, credentials: 'same-origin' });
}

/** The API as the account of the session. */
export const client = new Thermidora({
  baseUrl: `${globalThis.location.origin}/console/api/v1`,
  fetch: consoleFetch,
  maxRetries: 2,
});
