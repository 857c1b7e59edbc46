import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { startWebhooks } from '../support/webhooks-under-test.ts';
import type { WebhooksUnderTest } from '../support/webhooks-under-test.ts';
import { registerWebhookMetrics } from '../../worker/webhook-metrics.ts';

let webhooks: WebhooksUnderTest;
beforeAll(async () => {
  webhooks = await startWebhooks();
});
afterAll(() => webhooks.close());

test('attempts are counted by how they went; what waits is told apart, and its age is that of what could be sent', async () => {
  const registry = new Registry();
  const count = registerWebhookMetrics(registry, webhooks);
  const value = async (line: string): Promise<number> => {
    const text = await registry.metrics();
    return Number(
      text
        .split('\n')
        .find((one) => one.startsWith(`${line} `))
        ?.slice(line.length),
    );
  };
  const accountId = await webhooks.newAccount();
  const [sent, resting, disabled] = await Promise.all([1, 2, 3].map(() => webhooks.newWebhook(accountId, 'https://example.com')));
  const change = (webhook: typeof sent, set: string) =>
    webhooks.sql(`update webhooks set ${set} where id = ? returning id`, [webhook?.webhookId]);
  const ageOf = (webhook: typeof sent, age: string) =>
    webhooks.sql(`update webhook_deliveries set next_attempt_at = now() - interval '${age}' where webhook_id = ? returning id`, [
      webhook?.webhookId,
    ]);
  expect(await value('thermidora_webhook_oldest_seconds')).toBe(0);
  for (let event = 0; event < 2; event += 1) await webhooks.record(accountId);
  await change(disabled, 'enabled = false');
  await change(resting, `not_before = now() + interval '1 hour'`);
  await ageOf(disabled, '3 hours');
  await ageOf(resting, '2 hours');
  expect(await value('thermidora_webhook_deliveries_waiting{webhook="enabled"}')).toBe(4);
  expect(await value('thermidora_webhook_deliveries_waiting{webhook="disabled"}')).toBe(2);
  expect(await value('thermidora_webhook_oldest_seconds')).toBeLessThan(600);
  await ageOf(sent, '10 minutes');
  // Not 600: between two statements the clock of a machine may be set back a little.
  expect(await value('thermidora_webhook_oldest_seconds')).toBeGreaterThan(599);
  expect(await value('thermidora_webhook_oldest_seconds')).toBeLessThan(3_600);

  for (const result of ['succeeded', 'failed', 'failed', 'gone'] as const) count(result);
  expect(await value('thermidora_webhook_attempts_total{result="succeeded"}')).toBe(1);
  expect(await value('thermidora_webhook_attempts_total{result="failed"}')).toBe(2);
  expect(await value('thermidora_webhook_attempts_total{result="gone"}')).toBe(1);
});
