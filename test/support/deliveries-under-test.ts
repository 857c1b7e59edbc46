import { startDelivering } from './delivering.ts';
import type { Delivering, DeliveringOptions } from './delivering.ts';
import { startWebhookReceiver } from './webhook-receiver.ts';
import type { WebhookReceiver } from './webhook-receiver.ts';
import { startWebhooks } from './webhooks-under-test.ts';
import type { WebhooksUnderTest } from './webhooks-under-test.ts';

interface EndpointUnderTest {
  accountId: string;
  webhookId: string;
  secret: string;
}

/** Webhooks, the server that they go to, and who delivers. */
export interface DeliveriesUnderTest {
  webhooks: WebhooksUnderTest;
  receiver: WebhookReceiver;
  /** A new account with one webhook, to this path. */
  endpoint(path: string, events?: string[]): Promise<EndpointUnderTest>;
  /** Delivers again, after stop(). It does so already after startDeliveries(). */
  start(options?: Partial<DeliveringOptions>): Promise<void>;
  /** Ends as a worker does that is told to: what is left is handed over. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export async function startDeliveries(): Promise<DeliveriesUnderTest> {
  const [webhooks, receiver] = await Promise.all([startWebhooks(), startWebhookReceiver()]);
  let delivering: Delivering | null = await startDelivering(webhooks.options);
  const stop = async (): Promise<void> => {
    await delivering?.stop();
    delivering = null;
  };
  return {
    webhooks,
    receiver,
    async endpoint(path, events) {
      const accountId = await webhooks.newAccount();
      return { accountId, ...(await webhooks.newWebhook(accountId, `${receiver.url}${path}`, events)) };
    },
    async start(options = {}) {
      delivering = await startDelivering({ ...webhooks.options, ...options });
    },
    stop,
    async close() {
      await stop();
      await receiver.close();
      await webhooks.close();
    },
  };
}
