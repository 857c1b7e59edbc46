export interface RelayErrorOptions {
  /** OpenAI's word for the kind of error. */
  type?: 'invalid_request_error' | 'authentication_error' | 'api_error' | undefined;
  /** A finer name, passed on from the provider. */
  code?: string | undefined;
  /** Whole seconds. */
  retryAfterSeconds?: number | undefined;
  /** The provider finds fault with our account or with a setting of ours: another provider may answer the same call. */
  isOurFault?: boolean;
  /** What the operator should know or change. It is never told to the caller. */
  advice?: string | undefined;
  cause?: unknown;
}

/**
 * A model call that ends without an answer. A gateway tries again for a minute or more after 429 and 5xx, takes its
 * provider out of service after 401 to 403, and gives up at once after 400: a hard stop is therefore always 400.
 * The message is written for the owner of the agent.
 */
export class RelayError extends Error {
  readonly status: number;
  readonly type: string;
  readonly code: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly isOurFault: boolean;
  readonly advice: string | undefined;

  constructor(status: number, message: string, options: RelayErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'RelayError';
    this.status = status;
    this.type = options.type ?? (status < 500 ? 'invalid_request_error' : 'api_error');
    this.code = options.code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.isOurFault = options.isOurFault ?? false;
    this.advice = options.advice;
  }
}
