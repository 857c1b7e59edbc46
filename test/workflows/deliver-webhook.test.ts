import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { wakeWebhook } from '../../database/webhooks/wake-webhooks.ts';
import { signHex } from '../../lib/crypto/signing-secret.ts';
import { startDeliveries } from '../support/deliveries-under-test.ts';
import type { DeliveriesUnderTest } from '../support/deliveries-under-test.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { answering, closing, endless, hanging } from '../support/webhook-receiver.ts';

describe('deliverWebhook', () => {
  let deliveries: DeliveriesUnderTest;
  let webhooks: DeliveriesUnderTest['webhooks'];
  let receiver: DeliveriesUnderTest['receiver'];
  let endpoint: DeliveriesUnderTest['endpoint'];

  beforeAll(async () => {
    deliveries = await startDeliveries();
    ({ webhooks, receiver, endpoint } = deliveries);
  });
  afterAll(() => deliveries.close());

  test('an event reaches its endpoint once it is committed, signed in both ways', async () => {
    const { accountId, webhookId, secret } = await endpoint('/plain');
    const { eventId, seq } = await webhooks.record(accountId);
    const [got] = await eventually(() => {
      const all = receiver.received.filter(({ path }) => path === '/plain');
      expect(all).toHaveLength(1);
      return all;
    });
    const headers = Object.fromEntries(Object.entries(got!.headers).map(([name, value]) => [name, String(value)]));
    expect(headers).toMatchObject({
      'x-thermidora-signature': signHex(secret, Buffer.from(got!.body)),
      'x-thermidora-event': 'agent.message',
      'x-thermidora-webhook-id': webhookId,
      'webhook-id': eventId,
      'content-type': 'application/json',
    });
    expect(new StandardWebhook(secret).verify(got!.body, headers)).toMatchObject({ eventId, seq, eventType: 'agent.message' });
    await eventually(async () =>
      expect(await webhooks.deliveriesOf(webhookId)).toMatchObject([{ status: 'succeeded', attempts: 1 }]),
    );
  });

  test('endpoints that hang, fail for ever, close mid-response or never end their body do not hold up a healthy one', async () => {
    // One that hangs would keep others waiting for longer than this test does.
    await deliveries.stop();
    await deliveries.start({ answerMs: 10 * TEST_LIMIT_MS });
    const accountId = await webhooks.newAccount();
    const bad = { hang: hanging, fail: answering(500), close: closing, endless };
    for (const [name, behaviour] of Object.entries(bad)) {
      receiver.behave(`/bad-${name}`, behaviour);
      await webhooks.newWebhook(accountId, `${receiver.url}/bad-${name}`);
    }
    await webhooks.newWebhook(accountId, `${receiver.url}/healthy`);
    const recorded = new Set<string>();
    for (let event = 0; event < 100; event += 1) recorded.add((await webhooks.record(accountId)).eventId);
    await eventually(() => expect(receiver.eventsAt('/healthy')).toEqual(recorded));
    await eventually(() => expect(receiver.eventsAt('/bad-endless')).toEqual(recorded));
  });

  test('a worker that ends hands over what is left, and the next one goes on at once', async () => {
    const { accountId, webhookId } = await endpoint('/handed-over');
    const held: ServerResponse[] = [];
    receiver.behave('/handed-over', (response) => void held.push(response));
    await webhooks.sql(`update webhooks set not_before = now() + interval '1 hour' where id = ? returning id`, [webhookId]);
    const events = await Promise.all(Array.from({ length: 400 }, () => webhooks.record(accountId)));
    const recorded = new Set(events.map(({ eventId }) => eventId));
    await webhooks.sql('update webhooks set not_before = null where id = ? returning id', [webhookId]);
    await wakeWebhook(webhooks.orm.em.fork(), webhookId);
    await eventually(() => expect(receiver.eventsAt('/handed-over').size).toBeGreaterThan(0));
    const stopped = deliveries.stop();
    receiver.behave('/handed-over', answering(200));
    for (const response of held) response.end();
    await stopped;
    expect(receiver.eventsAt('/handed-over').size).toBeLessThan(recorded.size);
    await deliveries.start({ busyMs: 2_000 });
    await eventually(() => expect(receiver.eventsAt('/handed-over')).toEqual(recorded));
    // Requests that take less than the drain allows are not cut.
    expect(receiver.received.filter(({ path }) => path === '/handed-over')).toHaveLength(recorded.size);
  });

  test('a busy endpoint has one run after the other, none of them long, and misses nothing between two', async () => {
    const { accountId, webhookId } = await endpoint('/busy');
    const recorded = new Set<string>();
    await eventually(async () => {
      for (let event = 0; event < 10; event += 1) recorded.add((await webhooks.record(accountId)).eventId);
      const { runs, open, longest } = await webhooks.runsOf(webhookId);
      expect(runs).toBeGreaterThanOrEqual(4);
      expect(open).toBeLessThanOrEqual(1);
      expect(longest).toBeLessThan(60);
    });
    await eventually(() => expect(receiver.eventsAt('/busy')).toEqual(recorded));
  });
});
