import { wakeDueWebhooks } from '../../database/webhooks/wake-webhooks.ts';
import { runRetryable } from '../steps/run-retryable.ts';
import { withHeartbeat } from '../steps/with-heartbeat.ts';
import type { DeliveryDeps } from './delivery-deps.ts';

/** Wakes every webhook that has something to send and no run that delivers for it. Says how many. */
export function sweepWebhooks(deps: DeliveryDeps): Promise<{ woken: number }> {
  return withHeartbeat(() =>
    runRetryable(deps, 'sweepWebhooks', async () => ({ woken: await wakeDueWebhooks(deps.orm.em.fork()) })),
  );
}
