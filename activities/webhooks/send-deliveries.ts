import { runRetryable } from '../steps/run-retryable.ts';
import { withHeartbeat } from '../steps/with-heartbeat.ts';
import type { DeliveryDeps } from './delivery-deps.ts';
import { Sending } from './sending.ts';
import type { SendingResult } from './sending-result.ts';

/**
 * Sends what is due for one webhook, and listens for more for some seconds when that is done. No other run sends for it
 * meanwhile. Ends after five minutes at the latest, or when this worker does, and has handed over what is left then.
 */
export function sendDeliveries(deps: DeliveryDeps, { webhookId }: { webhookId: string }): Promise<SendingResult> {
  return withHeartbeat((cancellation) =>
    runRetryable(deps, 'sendDeliveries', async () => {
      const sending = new Sending(deps, webhookId, cancellation);
      try {
        return await sending.run();
      } finally {
        await sending.stop();
      }
    }),
  );
}
