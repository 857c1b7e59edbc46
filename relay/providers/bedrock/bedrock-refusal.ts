import { z } from 'zod';
import { retryAfterMs } from '../../../domain/webhooks/retry-schedule.ts';
import type { Log } from '../../../lib/log.ts';
import { RelayError } from '../../relay-error.ts';
import { notPrepared, unreachable } from '../http-provider.ts';
import { CANNOT_BE_CALLED, refusalFor } from '../provider-refusal.ts';

/** What the SDK throws for an answer that is an error, and for an error in the middle of a stream. */
const serviceError = z.object({
  name: z.string(),
  message: z.string().default(''),
  $fault: z.string(),
  $metadata: z.object({ httpStatusCode: z.number().optional() }).default({}),
  $response: z.object({ headers: z.record(z.string(), z.string()).catch({}) }).optional(),
});

/** By their names, because an error within a stream has no status. */
const STATUSES: Readonly<Record<string, number>> = {
  ThrottlingException: 429,
  ModelNotReadyException: 429,
  ModelTimeoutException: 408,
  ModelErrorException: 502,
  ModelStreamErrorException: 502,
  InternalServerException: 500,
  ServiceUnavailableException: 503,
  ValidationException: 400,
  ServiceQuotaExceededException: 402,
  AccessDeniedException: 403,
  ResourceNotFoundException: 404,
};

/** Sentences about the model's id, which only a setting can change. */
const ABOUT_MODEL_ID = /inference profile|model identifier|on-demand throughput/i;

/** The error for the caller of what the AWS SDK threw. */
export function bedrockRefusal(error: unknown, provider: string, log: Log): RelayError {
  if (error instanceof RelayError) return error;
  const parsed = serviceError.safeParse(error);
  if (!parsed.success) return isAboutCredentials(error) ? notPrepared(provider, error, log) : unreachable(provider, error);
  const { name, message, $metadata, $response } = parsed.data;
  const status = STATUSES[name] ?? $metadata.httpStatusCode ?? 502;
  if (status === 400 && ABOUT_MODEL_ID.test(message)) {
    log.error({ provider }, 'Bedrock does not take the id of a model: check its upstream in MODELS');
    return new RelayError(400, CANNOT_BE_CALLED, {
      isOurFault: true,
      advice: `The provider "${provider}" does not take the model's id: ${message} Set "upstream" to an id that this region has, or to its inference profile.`,
    });
  }
  const waitMs = retryAfterMs($response?.headers['retry-after'] ?? null, new Date());
  const retryAfterSeconds = waitMs === null ? undefined : waitMs / 1_000;
  return refusalFor({ status, said: { message, type: name }, retryAfterSeconds }, provider, log);
}

/** Of the chain of credentials, or of a key file. */
function isAboutCredentials(error: unknown): boolean {
  return (
    Error.isError(error) &&
    (/^(CredentialsProvider|TokenProvider|Provider)Error$/.test(error.name) || /holds no key/.test(error.message))
  );
}
