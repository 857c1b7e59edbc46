import type { Client } from '@temporalio/client';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import {
  SWEEP_RETENTION,
  SWEEP_RETENTION_ID,
  SWEEP_WEBHOOKS,
  SWEEP_WEBHOOKS_ID,
  webhookWorkflowId,
} from '../../domain/temporal/workflow-ids.ts';
import { startDelivering } from '../support/delivering.ts';
import { eventually } from '../support/eventually.ts';
import { answering, startWebhookReceiver } from '../support/webhook-receiver.ts';
import { startWebhooks } from '../support/webhooks-under-test.ts';
import type { WebhooksUnderTest } from '../support/webhooks-under-test.ts';
import type { Run } from './reconciler-under-test.ts';
import type { Shape } from './recorded-shapes.ts';

export type RecordRun = (shape: Shape, run: Run, at: { client: Client }) => Promise<void>;

/** Runs every shape of the workflows about webhooks for real and hands its run to the recorder. */
export async function runDeliveryShapes(record: RecordRun): Promise<void> {
  const webhooks = await startWebhooks();
  const receiver = await startWebhookReceiver();
  const delivering = await startDelivering(webhooks.options);
  const keep = async (shape: Shape, workflowId: string) => record(shape, await endedRun(webhooks, workflowId), webhooks);
  try {
    const accountId = await webhooks.newAccount();
    const healthy = await webhooks.newWebhook(accountId, `${receiver.url}/healthy`);
    await webhooks.record(accountId);
    await keep('deliver', webhookWorkflowId(healthy.webhookId));

    const flaky = await webhooks.newAccount();
    const { webhookId } = await webhooks.newWebhook(flaky, `${receiver.url}/flaky`);
    receiver.behave('/flaky', answering(503));
    await webhooks.record(flaky);
    await sleepingOn(webhooks, webhookId);
    receiver.behave('/flaky', answering(200));
    await keep('deliver-retry', webhookWorkflowId(webhookId));

    const busy = await webhooks.newAccount();
    const woken = await webhooks.newWebhook(busy, `${receiver.url}/woken`);
    receiver.behave('/woken', answering(503));
    await webhooks.record(busy);
    await sleepingOn(webhooks, woken.webhookId);
    receiver.behave('/woken', answering(200));
    await webhooks.record(busy);
    await keep('deliver-wake', webhookWorkflowId(woken.webhookId));

    for (const [shape, type, workflowId] of [
      ['sweep-retention', SWEEP_RETENTION, SWEEP_RETENTION_ID],
      ['sweep-webhooks', SWEEP_WEBHOOKS, SWEEP_WEBHOOKS_ID],
    ] as const) {
      const id = `${workflowId}-recorded`;
      await webhooks.client.workflow.start(type, { workflowId: id, taskQueue: TASK_QUEUES.maintenance, args: [] });
      await keep(shape, id);
    }
  } finally {
    await delivering.stop();
    await receiver.close();
    await webhooks.close();
  }
}

/** Its first delivery has failed and waits for its retry, and nobody listens any more. */
async function sleepingOn(webhooks: WebhooksUnderTest, webhookId: string): Promise<void> {
  await eventually(async () => {
    const [row] = await webhooks.sql<{ sleeps: boolean }>(
      `select failures = 1 and drained_until is null as sleeps from webhooks where id = ?`,
      [webhookId],
    );
    if (!row?.sleeps) throw new Error('it does not sleep yet');
  });
}

async function endedRun({ client }: WebhooksUnderTest, workflowId: string): Promise<Run> {
  const handle = client.workflow.getHandle(workflowId);
  const { runId } = await eventually(() => handle.describe());
  await client.workflow.getHandle(workflowId, runId).result();
  return { workflowId, runId };
}
