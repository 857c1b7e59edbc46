import type { IncomingHttpHeaders } from 'node:http';
import type Koa from 'koa';
import { AppError } from '../../domain/errors.ts';
import type { ApiState } from '../api-context.ts';
import { CONSOLE_DOOR, CONSOLE_PATH } from './door.ts';

/** A page of another origin cannot send it: the browser would ask us first, and we never allow it. */
export const CONSOLE_HEADER = 'X-Thermidora-Console';

const SESSION_PATH = `${CONSOLE_PATH}/session`;

/** Whether the path is one of the calls that pages of the console make, rather than one of its pages. */
export function isConsoleCall(path: string): boolean {
  return path.startsWith(`${CONSOLE_DOOR.basePath}/`) || path === CONSOLE_DOOR.basePath || path === SESSION_PATH;
}

/**
 * Refuses calls with the cookie of a session that a page of the console did not make: without its header, or from another
 * origin by what the browser says of it. Their answers are stored in no cache. Throws `forbidden`.
 */
export const requireConsole: Koa.Middleware<ApiState> = (context, next) => {
  if (!isConsoleCall(context.path)) return next();
  const { headers } = context.req;
  if (headers[CONSOLE_HEADER.toLowerCase()] === undefined || !isFromOwnPage(context.method, headers))
    throw new AppError(
      'forbidden',
      'Only pages of the console can make this request. Programs call the same paths below /v1 with an API key.',
    );
  context.set('Cache-Control', 'no-store');
  return next();
};

/** A browser names the origin of a page with each call that changes something; most say for every call where it comes from. */
function isFromOwnPage(method: string, { host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  if (site !== undefined && site !== 'same-origin') return false;
  if (origin !== undefined) return URL.parse(origin)?.host === host?.toLowerCase();
  return site !== undefined || method === 'GET' || method === 'HEAD';
}
