import { Context } from '@temporalio/activity';
import { failureTypeOf, stepFailure } from '../step-failure.ts';
import type { DeliveryDeps } from './delivery-deps.ts';

const HEARTBEAT_MS = 1_000;

/**
 * Runs an activity that beats each second. Its signal aborts when the activity is cancelled; whatever else goes wrong is
 * logged, and left to Temporal to try again by its type alone.
 */
export async function beating<T>(
  { log }: Pick<DeliveryDeps, 'log'>,
  activity: string,
  work: (cancellation: AbortSignal) => Promise<T>,
): Promise<T> {
  const { cancellationSignal, heartbeat } = Context.current();
  const beat = setInterval(() => heartbeat(), HEARTBEAT_MS);
  try {
    return await work(cancellationSignal);
  } catch (err) {
    if (cancellationSignal.aborted) throw cancellationSignal.reason;
    log.warn({ err, activity }, 'an activity failed and will be retried');
    throw stepFailure(failureTypeOf(err), { epoch: null, isRetryable: true });
  } finally {
    clearInterval(beat);
  }
}
