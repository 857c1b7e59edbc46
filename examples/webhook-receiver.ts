// Receives events and verifies that they come from your Thermidora and are not older than five minutes.
// Usage: API_KEY=$(cat .thermidora/api-key) npx node examples/webhook-receiver.ts
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

const { API_URL = 'http://127.0.0.1:3000/v1', API_KEY = '', PORT = '8080' } = process.env;
const MAX_AGE_SECONDS = 300;
let secret = '';

/** Whether this body was signed with the secret of the webhook: HMAC-SHA256 of id, time and the bytes of the body. */
function isGenuine(headers: IncomingHttpHeaders, body: string): boolean {
  const [id, time] = [headers['webhook-id'], headers['webhook-timestamp']];
  if (Math.abs(Date.now() / 1000 - Number(time)) > MAX_AGE_SECONDS) return false;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key)
    .update(`${String(id)}.${String(time)}.${body}`)
    .digest();
  const given = String(headers['webhook-signature'])
    .split(' ')
    .filter((one) => one.startsWith('v1,'));
  return given.some((one) => {
    const signature = Buffer.from(one.slice('v1,'.length), 'base64');
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  });
}

/** A delivery may come twice: the event's id, `webhook-id`, is the same each time. */
const seen = new Set<string>();

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request);
  if (!isGenuine(request.headers, body)) return void response.writeHead(401).end();
  const id = String(request.headers['webhook-id']);
  if (!seen.has(id)) process.stdout.write(`${body}\n`);
  seen.add(id);
  // Answer at once and do slow work afterwards: a delivery without an answer is sent again.
  response.writeHead(200).end();
}

createServer((request, response) => {
  receive(request, response).catch(() => response.destroy());
}).listen(Number(PORT), '127.0.0.1');

const url = `http://127.0.0.1:${PORT}/`;
const answer = await fetch(`${API_URL}/webhooks`, {
  method: 'POST',
  headers: { 'x-api-key': API_KEY, 'content-type': 'application/json' },
  body: JSON.stringify({ url, events: ['*'] }),
});
if (!answer.ok) throw new Error(`POST /webhooks answered ${answer.status}: ${await answer.text()}`);
const webhook = (await answer.json()) as { webhookId: string; secret: string };
({ secret } = webhook);
process.stdout.write(`${webhook.webhookId} sends to ${url}\n`);
