import type { IncomingHttpHeaders } from 'node:http';
import { isLoopback } from '../../lib/net/loopback.ts';

const NAME = 'thermidora-session';

/** As long as the token in it is valid. */
const MAX_AGE_SECONDS = 24 * 60 * 60;

/** Scripts cannot read it, other sites cannot have it sent, and no page below another path needs it. */
const ATTRIBUTES = 'Path=/; HttpOnly; SameSite=Strict';

/** The token of the session; undefined where the request carries none. */
export function readSession({ host, cookie = '' }: IncomingHttpHeaders): string | undefined {
  const prefix = `${cookieNameFor(host).name}=`;
  const pair = cookie
    .split(';')
    .map((part) => part.trim())
    .find((part) => part.startsWith(prefix));
  return pair?.slice(prefix.length) || undefined;
}

/** The Set-Cookie header that begins a session with this token. */
export function sessionCookie(token: string, { host }: IncomingHttpHeaders): string {
  const { name, secure } = cookieNameFor(host);
  return `${name}=${token}; ${ATTRIBUTES}; Max-Age=${MAX_AGE_SECONDS}${secure}`;
}

/** The Set-Cookie header with which the browser forgets its session. */
export function forgottenCookie({ host }: IncomingHttpHeaders): string {
  const { name, secure } = cookieNameFor(host);
  return `${name}=; ${ATTRIBUTES}; Max-Age=0${secure}`;
}

/**
 * Browsers take a cookie with the prefix only over https, for this host alone. Not every browser counts http on a loopback
 * address as safe, so there the cookie has neither prefix nor `Secure`: it never leaves the machine. Its name has the port,
 * because cookies do not tell ports apart and one machine may run several installations.
 */
function cookieNameFor(host = ''): { name: string; secure: string } {
  const url = URL.parse(`http://${host}`);
  if (!url || !isLoopback(url.hostname.replaceAll(/^\[|\]$/g, ''))) return { name: `__Host-${NAME}`, secure: '; Secure' };
  return { name: `${NAME}-${url.port || '80'}`, secure: '' };
}
