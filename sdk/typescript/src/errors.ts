import type { components } from './generated/schema.ts';

type ErrorFields = components['schemas']['Error']['error'];
type ApiErrorFields = Partial<Omit<ErrorFields, 'code'>> & { message: string; status: number; code: string };

/** The codes of the API's errors. A later version of the API may have others. */
export type ErrorCode = ErrorFields['code'];

/** The base class of the errors of this library. */
export class ThermidoraError extends Error {
  override name = 'ThermidoraError';
}

/** No answer came: the API could not be reached, the connection was lost, or an attempt took too long. `cause` says more. */
export class ApiConnectionError extends ThermidoraError {
  override name = 'ApiConnectionError';
}

/** The API refused a call, or an agent's turn failed. */
export class ApiError extends ThermidoraError {
  override name = 'ApiError';
  /** What went wrong, for programs: `not_found`, `instance_not_ready`. */
  readonly code: ErrorCode | (string & {});
  /** The HTTP status. */
  readonly status: number;
  /** Quote it in support requests. */
  readonly requestId: string | undefined;
  /** Narrows the code down: the status of an instance that is not ready, or why a turn failed. */
  readonly reason: string | undefined;
  /** Which fields or parameters to change. */
  readonly details: readonly { path: string; message: string }[];
  /** The reply whose turn failed or has not ended. */
  readonly messageId: string | undefined;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;

  constructor(fields: ApiErrorFields) {
    super(fields.message);
    this.code = fields.code;
    this.status = fields.status;
    this.requestId = fields.requestId;
    this.reason = fields.reason;
    this.details = fields.details ?? [];
    this.messageId = fields.messageId;
    this.retryable = fields.retryable ?? false;
  }
}

/** 400: a field or parameter is missing or wrong; `details` says which. */
export class InvalidRequestError extends ApiError {
  override name = 'InvalidRequestError';
}
/** 401: the API key or token is missing, wrong, expired or revoked. */
export class UnauthorizedError extends ApiError {
  override name = 'UnauthorizedError';
}
/** 402: the balance or a budget is used up. */
export class PaymentRequiredError extends ApiError {
  override name = 'PaymentRequiredError';
}
/** 403: the key or token may not do this. */
export class ForbiddenError extends ApiError {
  override name = 'ForbiddenError';
}
/** 404: there is no such thing, or it is another account's. */
export class NotFoundError extends ApiError {
  override name = 'NotFoundError';
}
/** 409: it exists already, or the state does not allow it. */
export class ConflictError extends ApiError {
  override name = 'ConflictError';
}
/** 429: too many calls, and the retries were refused as well. */
export class RateLimitedError extends ApiError {
  override name = 'RateLimitedError';
}
/** 502: the agent's turn failed; `reason` says why. */
export class AgentError extends ApiError {
  override name = 'AgentError';
}
/** 503: the instance is not running; `reason` says what it is. */
export class InstanceNotReadyError extends ApiError {
  override name = 'InstanceNotReadyError';
}
/** 504: the reply was not ready in time. Its turn goes on: `messages.get` of `messageId` has it later. */
export class ReplyTimeoutError extends ApiError {
  override name = 'ReplyTimeoutError';
}

const CLASSES: Partial<Record<string, typeof ApiError>> = {
  invalid_request: InvalidRequestError,
  unauthorized: UnauthorizedError,
  payment_required: PaymentRequiredError,
  forbidden: ForbiddenError,
  invite_required: ForbiddenError,
  not_found: NotFoundError,
  conflict: ConflictError,
  rate_limited: RateLimitedError,
  agent_error: AgentError,
  instance_not_ready: InstanceNotReadyError,
  timeout: ReplyTimeoutError,
} satisfies Partial<Record<ErrorCode, typeof ApiError>>;

/** The error that this body of an answer describes; null when it is not one of the API, but of a proxy before it. */
export function errorOfBody(body: unknown): ApiError | null {
  const fields: unknown = isObject(body) ? body['error'] : null;
  if (!isObject(fields)) return null;
  const { code, message, status } = fields;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof status !== 'number') return null;
  const Class = CLASSES[code] ?? ApiError;
  const text = (name: string): object => (typeof fields[name] === 'string' ? { [name]: fields[name] } : {});
  return new Class({
    ...{ code, message, status, retryable: fields['retryable'] === true, details: detailsOf(fields['details']) },
    ...text('requestId'),
    ...text('reason'),
    ...text('messageId'),
  });
}

function detailsOf(given: unknown): { path: string; message: string }[] {
  if (!Array.isArray(given)) return [];
  return given.filter(isObject).map(({ path, message }) => ({ path: String(path), message: String(message) }));
}

/** Whether this is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
