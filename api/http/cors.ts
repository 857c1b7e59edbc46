import type Koa from 'koa';
import type { ApiState } from '../api-context.ts';
import type { Door } from './door.ts';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const REQUEST_HEADERS = [
  ...['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'If-None-Match', 'If-Range', 'Range'],
  ...['X-API-Key', 'X-Request-Id'],
];
const ANSWER_HEADERS = [
  ...['Accept-Ranges', 'Content-Disposition', 'Content-Length', 'Content-Range', 'ETag'],
  ...['Idempotent-Replayed', 'Location', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Retry-After'],
  'X-Request-Id',
];
const PREFLIGHT_SECONDS = '600';

/**
 * Lets pages of these origins (`*`: of any) call the API from a browser. Credentials are sent by the page itself, never
 * by the browser on its own, so cookies are not allowed for.
 */
export function allowOrigins(
  origins: readonly string[],
  doors: readonly Pick<Door, 'browserHeaders'>[],
): Koa.Middleware<ApiState> {
  const sent = [...REQUEST_HEADERS, ...doors.flatMap(({ browserHeaders }) => browserHeaders?.sent ?? [])].join(', ');
  const read = [...ANSWER_HEADERS, ...doors.flatMap(({ browserHeaders }) => browserHeaders?.read ?? [])].join(', ');
  const any = origins.includes('*');
  return async (context, next) => {
    if (origins.length === 0) return void (await next());
    if (!any) context.vary('Origin');
    const origin = context.get('Origin');
    if (origin === '' || !(any || origins.includes(origin))) return void (await next());
    context.set('Access-Control-Allow-Origin', any ? '*' : origin);
    if (context.method === 'OPTIONS' && context.get('Access-Control-Request-Method') !== '') {
      context.set('Access-Control-Allow-Methods', METHODS);
      context.set('Access-Control-Allow-Headers', sent);
      context.set('Access-Control-Max-Age', PREFLIGHT_SECONDS);
      // A preflight is the browser's own question: no client reads its body.
      context.status = 204;
      return;
    }
    context.set('Access-Control-Expose-Headers', read);
    await next();
  };
}
