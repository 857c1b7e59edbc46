import type { AppError, ErrorCode } from '../../../domain/errors.ts';
import type { ErrorAnswer } from '../../http/door.ts';

interface Told {
  type: string;
  code: string;
  /** Only where it differs from ours. */
  status?: number;
}

/** OpenAI's type and code for our error codes, where OpenAI has its own. */
const TOLD: Partial<Record<ErrorCode, Told>> = {
  unauthorized: { type: 'invalid_request_error', code: 'invalid_api_key' },
  forbidden: { type: 'invalid_request_error', code: 'insufficient_permissions' },
  payment_required: { type: 'insufficient_quota', code: 'insufficient_quota', status: 429 },
  rate_limited: { type: 'requests', code: 'rate_limit_exceeded' },
};

/** The reason of `not_found` where the model of a request names no agent. */
export const NO_MODEL = 'model_not_found';

/** An error in OpenAI's format, with the further fields of ours. */
export function errorObject(error: AppError): object {
  const { code, type } = toldOf(error);
  const { message, reason, details, messageId } = error;
  return {
    message,
    type,
    param: reason === NO_MODEL ? 'model' : (details?.[0]?.path ?? null),
    code,
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

/** An error as an answer. */
export function answerError(error: AppError, requestId: string): ErrorAnswer {
  return {
    status: toldOf(error).status ?? error.status,
    // Otherwise OpenAI's clients repeat every call that fails with 429 or 5xx, and send the message of a failed turn again.
    headers: { 'X-Should-Retry': String(error.retryable) },
    body: { error: { ...errorObject(error), requestId } },
  };
}

function toldOf({ code, status, reason }: AppError): Told {
  const told = TOLD[code];
  if (told) return told;
  if (reason === NO_MODEL) return { type: 'invalid_request_error', code: NO_MODEL };
  return { type: status < 500 ? 'invalid_request_error' : 'server_error', code };
}
