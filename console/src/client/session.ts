import { errorOfBody, ThermidoraError } from '../../../sdk/typescript/src/errors.ts';
import { consoleFetch } from './client.ts';

const PATH = '/console/session';

async function send(method: 'POST' | 'DELETE', body?: object): Promise<void> {
  const init = body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {};
  const response = await consoleFetch(PATH, { method, ...init });
  if (response.ok) return;
  const told: unknown = await response.json().catch(() => null);
  throw errorOfBody(told) ?? new ThermidoraError(`The console did not answer (status ${response.status}). Try again.`);
}

/** Begins a session with the code of a mail, or with that of a link. Throws ApiError. */
export function signIn(proof: { email: string; code: string } | { link: string }): Promise<void> {
  return send('POST', proof);
}

/** Ends every session of the account, on all devices. */
export function signOut(): Promise<void> {
  return send('DELETE');
}

/** The code of the link that opened this page. It is taken out of the address, so that it stays in no history. */
export function takeLink(): string | null {
  const link = /^#link=([\w-]+)$/.exec(globalThis.location.hash)?.[1] ?? null;
  if (link !== null) globalThis.history.replaceState(null, '', globalThis.location.pathname);
  return link;
}
