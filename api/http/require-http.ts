import type { IncomingMessage } from 'node:http';
import type Koa from 'koa';
import { AppError } from '../../domain/errors.ts';
import type { ApiState } from '../api-context.ts';
import { invalidRequest } from '../contract/invalid-request.ts';

/** A name or an address, and a port. Empty where a client does not know it. */
const HOST = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d{0,5})?$/i;

/** Refuses what HTTP forbids, before anything reads the host or the path of the request. */
export const requireHttp: Koa.Middleware<ApiState> = ({ req }, next) => {
  requireHost(req);
  requireExpectation(req);
  requirePath(req);
  return next();
};

/** Exactly one Host that can be one; HTTP/1.0 needs none. */
function requireHost({ headers, rawHeaders, httpVersion }: IncomingMessage): void {
  const { host } = headers;
  const count = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  if (count === 0 && httpVersion === '1.0') return;
  if (count !== 1 || host === undefined || !HOST.test(host))
    throw invalidRequest([
      { path: 'Host', message: 'Send exactly one Host header with a name or an address, such as api.example.com:443.' },
    ]);
}

/** Node itself has answered 100-continue before. */
function requireExpectation({ headers: { expect } }: IncomingMessage): void {
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    throw new AppError('expectation_failed', 'The Expect header supports only 100-continue. Leave the header out.');
}

/** A target with a host in it, as proxies are sent, becomes its path: the Host header says who is meant. */
function requirePath(request: IncomingMessage): void {
  const target = request.url ?? '';
  if (target.startsWith('/') || target === '*') return;
  const url = URL.parse(target);
  if (!url || !/^https?:$/.test(url.protocol))
    throw invalidRequest([{ path: 'target', message: 'Send a path such as /v1/skills as the request target.' }]);
  request.url = `${url.pathname}${url.search}`;
}
