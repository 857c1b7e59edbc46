import { createHmac } from 'node:crypto';

/** What every signing secret begins with. */
const PREFIX = 'whsec_';
const SECRET_BYTES = 32;

/** A new secret for signing: `whsec_` and 32 random bytes in base64, as Standard Webhooks has them. */
export function makeSigningSecret(randomBytes: (size: number) => Uint8Array): string {
  return `${PREFIX}${Buffer.from(randomBytes(SECRET_BYTES)).toString('base64')}`;
}

/** HMAC-SHA256 in lower-case hex. The key is the whole text of the secret, prefix included. */
export function signHex(secret: string, body: Buffer): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

/** The signature of Standard Webhooks: `v1,` and base64. The key is what the secret's base64 stands for. */
export function signStandard(secret: string, { id, timestamp, body }: { id: string; timestamp: number; body: Buffer }): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
}
