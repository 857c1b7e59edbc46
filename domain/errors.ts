interface ErrorEntry {
  status: number;
  /** What the code means, for the reference. */
  title: string;
  /** Whether the same call may succeed later. */
  retryable: boolean;
  /** Whether an operator should hear of it. */
  reportable: boolean;
}

/** Every error code of the API and what each one means. A code that is not here does not exist. */
export const ERRORS = {
  invalid_request: { status: 400, title: 'Missing or invalid parameters', retryable: false, reportable: false },
  unauthorized: { status: 401, title: 'Missing or invalid credentials', retryable: false, reportable: false },
  payment_required: { status: 402, title: 'The balance or a budget is used up', retryable: false, reportable: false },
  forbidden: { status: 403, title: 'The credentials do not allow this request', retryable: false, reportable: false },
  invite_required: { status: 403, title: 'A valid invite code is required', retryable: false, reportable: false },
  not_found: { status: 404, title: 'Resource not found or not owned by you', retryable: false, reportable: false },
  method_not_allowed: { status: 405, title: 'The path does not support this method', retryable: false, reportable: false },
  request_timeout: { status: 408, title: 'The request did not arrive in time', retryable: true, reportable: false },
  conflict: {
    status: 409,
    title: 'The request conflicts with the current state, or the resource already exists',
    retryable: false,
    reportable: false,
  },
  precondition_failed: {
    status: 412,
    title: 'The resource is not in the state that the request requires',
    retryable: false,
    reportable: false,
  },
  payload_too_large: { status: 413, title: 'The body is too large', retryable: false, reportable: false },
  unsupported_media_type: { status: 415, title: 'The body is not JSON', retryable: false, reportable: false },
  range_not_satisfiable: {
    status: 416,
    title: 'The resource has none of the bytes that the Range header asks for',
    retryable: false,
    reportable: false,
  },
  expectation_failed: { status: 417, title: 'The Expect header is not supported', retryable: false, reportable: false },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true, reportable: false },
  headers_too_large: { status: 431, title: 'The path and the headers are too large', retryable: false, reportable: false },
  internal_error: { status: 500, title: 'Unexpected server error', retryable: true, reportable: true },
  agent_error: { status: 502, title: "The agent's turn failed", retryable: false, reportable: false },
  instance_not_ready: { status: 503, title: 'Instance is not running', retryable: true, reportable: false },
  unavailable: { status: 503, title: 'The service is temporarily unavailable', retryable: true, reportable: true },
  timeout: { status: 504, title: 'The reply was not ready in time; the turn continues', retryable: false, reportable: false },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetail {
  /** The field or parameter: `name`, `files.SOUL.md`, `limit`; `body` for the body itself. */
  path: string;
  /** A sentence that says what to change. */
  message: string;
}

export interface AppErrorOptions {
  /** Narrows the code down, for instance the status of an instance that is not ready. */
  reason?: string;
  details?: readonly ErrorDetail[];
  /** The reply whose turn this is about. */
  messageId?: string;
  retryAfterSeconds?: number;
  /** Only where it differs from the table. */
  retryable?: boolean;
  /** For the log only; the caller never sees it. */
  cause?: unknown;
}

/** An expected failure. Its message is written for the caller; what only operators may see goes into `cause`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly reason: string | undefined;
  readonly details: readonly ErrorDetail[] | undefined;
  readonly messageId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.reason = options.reason;
    this.details = options.details;
    this.messageId = options.messageId;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.retryable = options.retryable ?? ERRORS[code].retryable;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}
