import crypto from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import Koa from 'koa';
import rawBody from 'raw-body';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { startDelivering } from '../support/delivering.ts';
import type { Delivering } from '../support/delivering.ts';
import { eventually } from '../support/eventually.ts';
import { startWebhooks } from '../support/webhooks-under-test.ts';
import type { WebhooksUnderTest } from '../support/webhooks-under-test.ts';

/** As the reference has it. */
function verifySignature(body: unknown, signature: string, secret: string): boolean {
  const expected = crypto.createHmac('sha256', secret).update(JSON.stringify(body)).digest('hex');
  return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

/** What a reply may hold that a careless way of storing or sending would change. */
const AWKWARD = [
  'plain',
  'Grüße, 你好, שלום, \u0301e\u0301 \u200d',
  '👩‍👩‍👧‍👦 🏳️‍🌈 𝒳',
  '{"a":1.0,"b":1e3,"1":2,"0":{"10":1,"9":2}}',
  'a\u0001b\u001fc\u007fd\te\r\nf\\g"h/i<script>&amp;',
  '\u2028 \u2029 \ufeff \ufffd \uffff',
  '\\u00e9 \\ud83d \\/ %00 ${x} ?? ??::text',
  '',
  'long '.repeat(200_000),
];

interface Verified {
  eventId: string;
  content: string;
  isValid: boolean;
  isStandard: boolean;
}

describe.each(['Express', 'Koa'] as const)('a customer with %s', (framework) => {
  let webhooks: WebhooksUnderTest;
  let delivering: Delivering;
  let server: Server;
  const secrets = new Map<string, string>();
  const verified: Verified[] = [];

  /** What the customer's handler does with a parsed body. */
  function handle(headers: IncomingHttpHeaders, body: { eventId: string; data: { content: string } }): boolean {
    const signature = String(headers['x-thermidora-signature']);
    const secret = secrets.get(String(headers['x-thermidora-webhook-id'])) ?? '';
    const isValid = verifySignature(body, signature, secret);
    const standard = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    const isStandard = Boolean(new StandardWebhook(secret).verify(JSON.stringify(body), standard));
    verified.push({ eventId: body.eventId, content: body.data.content, isValid, isStandard });
    return isValid;
  }

  function withExpress(): Server {
    const app = express();
    app.use(express.json({ limit: '5mb' }));
    app.post('/webhook', (req, res) => void res.sendStatus(handle(req.headers, req.body) ? 200 : 401));
    return app.listen(0, '127.0.0.1');
  }

  function withKoa(): Server {
    const app = new Koa();
    app.use(async (ctx) => {
      const body = JSON.parse(await rawBody(ctx.req, { encoding: 'utf8', limit: '5mb' }));
      ctx.status = handle(ctx.req.headers, body) ? 200 : 401;
    });
    return app.listen(0, '127.0.0.1');
  }

  beforeAll(async () => {
    webhooks = await startWebhooks();
    delivering = await startDelivering(webhooks.options);
    server = framework === 'Express' ? withExpress() : withKoa();
    await once(server, 'listening');
  });
  afterAll(async () => {
    await delivering.stop();
    server.closeAllConnections();
    server.close();
    await webhooks.close();
  });

  test('verifies every delivery by the sample of the reference and by Standard Webhooks, whatever it holds', async () => {
    const { port } = server.address() as AddressInfo; // a listening server has an address of this kind
    const accountId = await webhooks.newAccount();
    const { webhookId, secret } = await webhooks.newWebhook(accountId, `http://127.0.0.1:${port}/webhook`);
    secrets.set(webhookId, secret);
    const sent: Omit<Verified, 'isValid' | 'isStandard'>[] = [];
    for (const content of AWKWARD) sent.push({ content, eventId: (await webhooks.record(accountId, { content })).eventId });
    await eventually(async () => {
      const ended = await webhooks.deliveriesOf(webhookId);
      expect(ended.map(({ status }) => status)).toEqual(AWKWARD.map(() => 'succeeded'));
    });
    const byId = new Map(verified.map((one) => [one.eventId, one]));
    for (const { eventId, content } of sent) {
      const { isValid, isStandard, content: got } = byId.get(eventId)!;
      expect([isValid, isStandard, got === content]).toEqual([true, true, true]);
    }
  });
});
