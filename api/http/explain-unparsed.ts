import { AppError } from '../../domain/errors.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import type { ExplainUnparsed, UnparsedStatus } from '../../lib/net/http-server.ts';
import type { Deps } from '../deps.ts';
import { toEnvelope } from './error-envelope.ts';

const ERRORS_OF_STATUS: Record<UnparsedStatus, readonly [ErrorCode, string]> = {
  400: [
    'invalid_request',
    'The request is not valid HTTP/1.1. Check the method, the path, the headers and the chunks of the body.',
  ],
  408: ['request_timeout', 'The request did not arrive in time. Send it again.'],
  413: ['payload_too_large', 'The chunks of the body carry too many extensions. Send the body without them.'],
  431: ['headers_too_large', 'The path and the headers are larger than 16 KiB. Send less.'],
};

/** Gives the error envelope and a request id to what the HTTP parser could not read. */
export function createExplainUnparsed({ makeId, log }: Pick<Deps, 'makeId' | 'log'>): ExplainUnparsed {
  return (status) => {
    const requestId = makeId('req');
    const [errorCode, message] = ERRORS_OF_STATUS[status];
    log.info({ requestId, status, errorCode }, 'a request could not be parsed');
    return {
      headers: { 'X-Request-Id': requestId },
      body: JSON.stringify(toEnvelope(new AppError(errorCode, message), requestId)),
    };
  };
}
