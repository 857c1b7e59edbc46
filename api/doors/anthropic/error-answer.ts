import type { AppError, ErrorCode } from '../../../domain/errors.ts';
import type { ErrorAnswer } from '../../http/door.ts';

/** The type of an error of Claude's API for our error codes; `invalid_request_error` for all others. */
const TYPES: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'authentication_error',
  payment_required: 'billing_error',
  forbidden: 'permission_error',
  not_found: 'not_found_error',
  payload_too_large: 'request_too_large',
  rate_limited: 'rate_limit_error',
  internal_error: 'api_error',
  agent_error: 'api_error',
  instance_not_ready: 'overloaded_error',
  unavailable: 'overloaded_error',
  timeout: 'timeout_error',
};

/** An error in the format of Claude's API. What has to change stands in the message too, which is all that its clients show. */
export function answerError(error: AppError, requestId: string): ErrorAnswer {
  const { code, message, reason, details = [] } = error;
  const fields = details.map(({ path, message: change }) => `${path}: ${change}`);
  const told = {
    type: TYPES[code] ?? 'invalid_request_error',
    message: [message, ...fields].join(' '),
    ...(reason === undefined ? {} : { reason }),
    ...(details.length === 0 ? {} : { details }),
  };
  return {
    status: error.status,
    // Otherwise its clients repeat every call that fails with 409, 429 or 5xx.
    headers: { 'X-Should-Retry': String(error.retryable), 'request-id': requestId },
    body: { type: 'error', error: told, request_id: requestId },
  };
}
