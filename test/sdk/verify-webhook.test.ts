import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { deliveryHeaders } from '../../activities/webhooks/delivery-headers.ts';
import { verifyWebhook, WebhookVerificationError } from '../../sdk/typescript/src/index.ts';

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
const event = { eventId: 'evt_1', eventType: 'agent.message', seq: 1, data: { content: 'Grüße, 你好 \u2028 {"a":1.0}' } };
const body = Buffer.from(JSON.stringify(event));
const secret = newSecret();

/** A delivery as the worker signs it. */
function deliver({
  at = new Date(),
  previousSecret = null,
  signWith = secret,
}: { at?: Date; previousSecret?: string | null; signWith?: string } = {}) {
  const ids = { webhookId: 'wh_1', deliveryId: 'dlv_1', eventId: 'evt_1', eventType: 'agent.message' };
  return deliveryHeaders({ ...ids, body, secret: signWith, previousSecret, at });
}

test('a delivery is its event, whether its body comes as bytes or text and its headers as an object or Headers', async () => {
  const headers = deliver();
  for (const given of [body, new Uint8Array(body), body.toString()])
    expect(await verifyWebhook(given, headers, secret)).toEqual(event);
  expect(await verifyWebhook(body, new Headers(headers), secret)).toEqual(event);
  const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]));
  expect(await verifyWebhook(body, upper, secret)).toEqual(event);
  expect(await verifyWebhook(body, headers, secret, { signature: 'body' })).toEqual(event);
});

test('while a secret is replaced the old and the new one are good, and several may be given', async () => {
  const [before, after] = [secret, newSecret()];
  const headers = deliver({ signWith: after, previousSecret: before });
  for (const signature of ['standard', 'body'] as const) {
    for (const one of [before, after, [newSecret(), before]])
      expect(await verifyWebhook(body, headers, one, { signature })).toEqual(event);
    await expect(verifyWebhook(body, headers, newSecret(), { signature })).rejects.toThrow(WebhookVerificationError);
  }
});

test('a changed body, id or time, another secret and a missing or broken signature are refused', async () => {
  const headers = deliver();
  const changed = Buffer.from(body.toString().replace('1.0', '1.1'));
  const refused = (given: Uint8Array, more: object, signature: 'standard' | 'body' = 'standard') =>
    expect(verifyWebhook(given, { ...headers, ...more }, secret, { signature })).rejects.toThrow(WebhookVerificationError);
  for (const signature of ['standard', 'body'] as const) await refused(changed, {}, signature);
  await refused(body, { 'webhook-id': 'evt_2' });
  await refused(body, { 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 1) });
  for (const bad of ['', 'v1,', 'v1,!!', 'v2,abcd', undefined]) await refused(body, { 'webhook-signature': bad });
  for (const bad of ['', 'zz', 'ab', undefined]) await refused(body, { 'x-thermidora-signature': bad }, 'body');
  await expect(verifyWebhook(body, headers, 'whsec_')).rejects.toThrow(WebhookVerificationError);
});

test('a delivery is refused when its time is further from now than the tolerance, in both directions', async () => {
  const minutes = (count: number) => deliver({ at: new Date(Date.now() + count * 60_000) });
  for (const off of [-4, 4]) expect(await verifyWebhook(body, minutes(off), secret)).toEqual(event);
  for (const off of [-6, 6]) await expect(verifyWebhook(body, minutes(off), secret)).rejects.toThrow(/too far from now/);
  expect(await verifyWebhook(body, minutes(-6), secret, { toleranceMs: 10 * 60_000 })).toEqual(event);
  const nonsense = { ...deliver(), 'webhook-timestamp': 'NaN' };
  await expect(verifyWebhook(body, nonsense, secret)).rejects.toThrow(/too far from now/);
});
