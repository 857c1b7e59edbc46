import { signHex, signStandard } from '../../lib/crypto/signing-secret.ts';

interface SignedDelivery {
  webhookId: string;
  deliveryId: string;
  eventId: string;
  eventType: string;
  body: Buffer;
  secret: string;
  /** The one before, within its time of grace. */
  previousSecret: string | null;
  at: Date;
}

/**
 * The headers of a delivery. The reference's signature covers the body alone and must be the only thing in its header;
 * those of Standard Webhooks stand beside it, one per secret that is good.
 */
export function deliveryHeaders(delivery: SignedDelivery): Record<string, string> {
  const { webhookId, deliveryId, eventId, eventType, body, secret, previousSecret, at } = delivery;
  const timestamp = Math.floor(at.getTime() / 1_000);
  const secrets = previousSecret === null ? [secret] : [secret, previousSecret];
  return {
    'content-type': 'application/json',
    'user-agent': 'Thermidora-Webhooks/1',
    'x-thermidora-signature': signHex(secret, body),
    ...(previousSecret === null ? {} : { 'x-thermidora-signature-previous': signHex(previousSecret, body) }),
    'x-thermidora-event': eventType,
    'x-thermidora-webhook-id': webhookId,
    'x-thermidora-delivery-id': deliveryId,
    'webhook-id': eventId,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': secrets.map((one) => signStandard(one, { id: eventId, timestamp, body })).join(' '),
  };
}
