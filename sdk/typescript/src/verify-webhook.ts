import { isObject, ThermidoraError } from './errors.ts';

const DEFAULT_TOLERANCE_MS = 5 * 60_000;
const SECRET_PREFIX = 'whsec_';

/** What a webhook delivers. */
export interface WebhookEvent {
  eventId: string;
  /** `cron.completed`, `agent.message`, `agent.error`, a notice, or `webhook.test`. */
  eventType: string;
  /** The number of the event in the account; null for a test. */
  seq: number | null;
  instanceId: string | null;
  agentSlug: string | null;
  data: Record<string, unknown>;
  timestamp: string;
}

/** The delivery is not from your Thermidora, was changed, or is too old. */
export class WebhookVerificationError extends ThermidoraError {
  override name = 'WebhookVerificationError';
}

export interface VerifyOptions {
  /** How far the time of the delivery may be from now, in milliseconds. Default: five minutes. */
  toleranceMs?: number;
  /**
   * Which signature counts. `standard` (default) is `webhook-signature`, which covers the id and the time of the delivery.
   * `body` is `X-Thermidora-Signature`, which covers the body alone: an attacker who has seen a delivery can replay it.
   */
  signature?: 'standard' | 'body';
}

type HeaderSource = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Answers the event of a delivery whose signature is right. Give the body as the bytes or the text that came, never as parsed
 * and written JSON. `secret` may be several, while one replaces another. The same event may be delivered more than once: its
 * `eventId` tells. Throws WebhookVerificationError.
 */
export async function verifyWebhook(
  body: Uint8Array | ArrayBuffer | string,
  headers: HeaderSource,
  secret: string | readonly string[],
  { toleranceMs = DEFAULT_TOLERANCE_MS, signature = 'standard' }: VerifyOptions = {},
): Promise<WebhookEvent> {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : new Uint8Array(body);
  const secrets = typeof secret === 'string' ? [secret] : secret;
  const isGenuine =
    signature === 'standard'
      ? await isStandard(bytes, headers, secrets, toleranceMs)
      : await isBodySigned(bytes, headers, secrets);
  if (!isGenuine) throw new WebhookVerificationError('The signature of the delivery is not right for its body and your secret.');
  return eventOf(bytes);
}

async function isStandard(
  body: Uint8Array,
  headers: HeaderSource,
  secrets: readonly string[],
  toleranceMs: number,
): Promise<boolean> {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    headerOf(headers, name),
  );
  if (id === undefined || timestamp === undefined || signatures === undefined)
    throw new WebhookVerificationError('The delivery has no webhook-id, webhook-timestamp and webhook-signature.');
  const ageMs = Math.abs(Date.now() - Number(timestamp) * 1_000);
  if (!/^\d+$/.test(timestamp) || ageMs > toleranceMs)
    throw new WebhookVerificationError('The time of the delivery is too far from now. Check the clock of this machine.');
  const content = joined(new TextEncoder().encode(`${id}.${timestamp}.`), body);
  const given = signatures.split(' ').flatMap((one) => (one.startsWith('v1,') ? [fromBase64(one.slice(3))] : []));
  return isSignedByAny(content, secrets.map(standardKey), given);
}

async function isBodySigned(body: Uint8Array, headers: HeaderSource, secrets: readonly string[]): Promise<boolean> {
  const given = ['x-thermidora-signature', 'x-thermidora-signature-previous'].flatMap((name) => {
    const text = headerOf(headers, name);
    return text === undefined ? [] : [fromHex(text)];
  });
  if (given.length === 0) throw new WebhookVerificationError('The delivery has no X-Thermidora-Signature.');
  const keys = secrets.map((one) => new TextEncoder().encode(one));
  return isSignedByAny(body, keys, given);
}

/** The comparison takes the same time wherever a signature differs. */
async function isSignedByAny(
  content: Uint8Array,
  keys: readonly Uint8Array[],
  signatures: readonly Uint8Array[],
): Promise<boolean> {
  for (const key of keys) {
    const imported = await crypto.subtle.importKey('raw', ownBytes(key), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
    for (const signature of signatures)
      if (await crypto.subtle.verify('HMAC', imported, ownBytes(signature), ownBytes(content))) return true;
  }
  return false;
}

/** WebCrypto takes no view of memory that may be shared. */
const ownBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

function standardKey(secret: string): Uint8Array {
  const key = fromBase64(secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret);
  if (key.length === 0) throw new WebhookVerificationError('The secret is not one of a webhook: whsec_ and base64.');
  return key;
}

function headerOf(headers: HeaderSource, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const [, value] = Object.entries(headers).find(([given]) => given.toLowerCase() === name) ?? [];
  return typeof value === 'string' ? value : value?.[0];
}

/** Nothing for what is no base64: no signature is empty. */
function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

function fromHex(text: string): Uint8Array {
  if (!/^([\da-f]{2})+$/.test(text)) return new Uint8Array();
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

function eventOf(body: Uint8Array): WebhookEvent {
  const event: unknown = JSON.parse(new TextDecoder().decode(body));
  if (!isObject(event) || typeof event['eventType'] !== 'string')
    throw new WebhookVerificationError('The body of the delivery is not an event.');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: it is signed, so it is as the API writes it
  return event as unknown as WebhookEvent;
}
