export { Thermidora } from './client.ts';
export {
  AgentError,
  ApiError,
  ConflictError,
  ApiConnectionError,
  ForbiddenError,
  InstanceNotReadyError,
  InvalidRequestError,
  NotFoundError,
  PaymentRequiredError,
  RateLimitedError,
  ReplyTimeoutError,
  ThermidoraError,
  UnauthorizedError,
} from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type * from './generated/resources.ts';
export { Pages } from './pages.ts';
export { Reply } from './reply.ts';
export type { ReplyPart } from './reply.ts';
export type { InstanceChange } from './resources.ts';
export type { AnswerOf, BodyOf, CallOptions, ClientOptions, QueryOf, RawBody } from './types.ts';
export { verifyWebhook, WebhookVerificationError } from './verify-webhook.ts';
export type { VerifyOptions, WebhookEvent } from './verify-webhook.ts';
