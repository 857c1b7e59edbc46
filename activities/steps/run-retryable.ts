import { Context } from '@temporalio/activity';
import type { Log } from '../../lib/log.ts';
import { failureTypeOf, stepFailure } from './step-failure.ts';

/** Runs an activity that Temporal retries, whatever it fails with: the error goes to the log, its type alone to Temporal. */
export async function runRetryable<T>({ log }: { log: Log }, activity: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    const { cancellationSignal } = Context.current();
    if (cancellationSignal.aborted) throw cancellationSignal.reason;
    log.warn({ err, activity }, 'an activity failed and will be retried');
    throw stepFailure(failureTypeOf(err), { epoch: null, isRetryable: true });
  }
}
