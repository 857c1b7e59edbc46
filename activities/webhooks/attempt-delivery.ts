import type { DueDelivery, Endpoint } from '../../database/webhooks/find-due-deliveries.ts';
import type { EndedAttempt } from '../../database/webhooks/record-attempts.ts';
import { webhookPlace } from '../../database/webhook-place.ts';
import { retryAfterMs, retryPauseMs } from '../../domain/webhooks/retry-schedule.ts';
import type { AttemptOutcome } from '../../domain/webhooks/webhook-health.ts';
import { isProbed } from '../../domain/webhooks/webhook-health.ts';
import { storableText } from '../../lib/text/storable-text.ts';
import type { DeliveryDeps } from './delivery-deps.ts';
import { deliveryHeaders } from './delivery-headers.ts';
import { explainFailure, explainStatus } from './explain-attempt.ts';

/** An attempt that has ended: what is written down, and what it says about the endpoint (nothing, when a test failed). */
export interface MadeAttempt {
  ended: EndedAttempt;
  outcome: AttemptOutcome | null;
}

const GONE = 410;

type Answer = Pick<EndedAttempt, 'statusCode' | 'error' | 'response'> & { retryAfter: string | null };

/** Sends a delivery once. Rejects only when the signal aborts: then it is not known whether it arrived, and it is sent again. */
export async function attemptDelivery(
  deps: DeliveryDeps,
  endpoint: Endpoint,
  delivery: DueDelivery,
  signal: AbortSignal,
): Promise<MadeAttempt> {
  const { clock, monotonicMs, onAttempt } = deps;
  const at = clock();
  const begunAt = monotonicMs();
  const answer = await send(deps, endpoint, delivery, { at, signal });
  const durationMs = Math.round(monotonicMs() - begunAt);
  const result = resultOf(answer);
  onAttempt(result);
  const waitMs = retryAfterMs(answer.retryAfter, clock());
  const { statusCode, error, response } = answer;
  const isProbe = isProbed(endpoint);
  return {
    ended: {
      ...{ deliveryId: delivery.id, number: delivery.attempts + 1, at, statusCode, durationMs, error, response },
      ...fateOf(deps, endpoint, delivery, result, waitMs),
    },
    outcome: delivery.isTest && result !== 'succeeded' ? null : { result, at: clock(), retryAfterMs: waitMs, isProbe },
  };
}

function resultOf({ statusCode, error }: Answer): AttemptOutcome['result'] {
  if (error === null) return 'succeeded';
  return statusCode === GONE ? 'gone' : 'failed';
}

/** What becomes of the delivery. A test is made once; a probe does not use up the schedule. */
function fateOf(
  { random }: DeliveryDeps,
  endpoint: Endpoint,
  { isTest, tries: before }: DueDelivery,
  result: AttemptOutcome['result'],
  waitMs: number | null,
): Pick<EndedAttempt, 'status' | 'tries' | 'retryInMs'> {
  if (result === 'succeeded') return { status: 'succeeded', tries: before + 1, retryInMs: null };
  if (isTest) return { status: 'failed', tries: before + 1, retryInMs: null };
  if (isProbed(endpoint)) return { status: 'pending', tries: before, retryInMs: null };
  const tries = before + 1;
  const pauseMs = retryPauseMs(tries, random);
  if (pauseMs === null) return { status: 'failed', tries, retryInMs: null };
  return { status: 'pending', tries, retryInMs: Math.max(pauseMs, waitMs ?? 0) };
}

async function send(
  { safeFetch, encryption, log }: DeliveryDeps,
  endpoint: Endpoint,
  { id: deliveryId, eventId, eventType, body: text }: DueDelivery,
  { at, signal }: { at: Date; signal: AbortSignal },
): Promise<Answer> {
  const { webhookId, url } = endpoint;
  const open = (secret: string): string => encryption.decrypt(secret, webhookPlace(webhookId));
  const body = Buffer.from(text, 'utf8');
  const secret = open(endpoint.secret);
  const previousSecret = endpoint.previousSecret === null ? null : open(endpoint.previousSecret);
  const headers = deliveryHeaders({ webhookId, deliveryId, eventId, eventType, body, secret, previousSecret, at });
  try {
    const { status, retryAfter, text: response } = await safeFetch.post(url, { headers, body, signal });
    return { statusCode: status, error: explainStatus(status), response: storableText(response), retryAfter };
  } catch (err) {
    signal.throwIfAborted();
    log.debug({ err, webhookId, deliveryId }, 'a delivery attempt got no response');
    return { statusCode: null, error: explainFailure(err), response: null, retryAfter: null };
  }
}
