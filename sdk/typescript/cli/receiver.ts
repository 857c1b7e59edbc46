import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { verifyWebhook, WebhookVerificationError } from '../src/index.ts';
import type { WebhookEvent } from '../src/index.ts';

/** The content of an event is cut at 1 MiB; escaped as JSON it may be six times as long. */
const LARGEST_BODY = 8 * 1024 * 1024;
const AT_ONCE = 16;
const FORWARD_MS = 14_000;
const HOP_BY_HOP = new Set([
  'connection',
  'host',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
]);

/** What came: an event, or why it was refused. `forwarded` is the status of where it was passed on to, or what went wrong there. */
export interface Delivery {
  event: WebhookEvent | null;
  refused: string | null;
  forwarded: string | null;
}

/** A server on the loopback address that takes deliveries of one webhook. */
export interface Receiver {
  url: string;
  /** From now on deliveries are taken that are signed with this secret. */
  accept(secret: string): void;
  close(): Promise<void>;
}

interface ReceiverOptions {
  port: number;
  /** The URL to which verified deliveries are passed on, with their headers and bytes. */
  forwardTo: string | null;
  show(delivery: Delivery): void;
}

/** Starts the receiver. It has no access control: it refuses what is not signed, and limits bodies and requests at once. */
export async function startReceiver({ port, forwardTo, show }: ReceiverOptions): Promise<Receiver> {
  let secret: string | null = null;
  let atWork = 0;

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    if (body === null) return void response.writeHead(413).end();
    if (secret === null) return void response.writeHead(503).end();
    let event: WebhookEvent;
    try {
      event = await verifyWebhook(body, plainHeaders(request.headers), secret);
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      show({ event: null, refused: error.message, forwarded: null });
      return void response.writeHead(401).end();
    }
    const answer = forwardTo === null ? null : await forward(forwardTo, request.headers, body);
    show({ event, refused: null, forwarded: answer === null ? null : String(answer) });
    response.writeHead(typeof answer === 'string' ? 502 : (answer ?? 200)).end();
  }

  const server = createServer((request, response) => {
    if (atWork >= AT_ONCE) return void response.writeHead(503).end();
    atWork += 1;
    receive(request, response)
      .catch(() => response.destroy())
      .finally(() => (atWork -= 1));
  });
  server.requestTimeout = 30_000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const listening = typeof address === 'object' && address ? address.port : port;
  return {
    url: `http://127.0.0.1:${listening}/`,
    accept: (given) => void (secret = given),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Null when it is larger than any delivery. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const stream: AsyncIterable<Uint8Array> = request;
  for await (const bytes of stream) {
    size += bytes.length;
    if (size > LARGEST_BODY) return null;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function plainHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : [])),
  );
}

/** The status of the answer, or what went wrong. */
async function forward(url: string, headers: IncomingHttpHeaders, body: Uint8Array): Promise<number | string> {
  const passed = Object.entries(plainHeaders(headers)).filter(([name]) => !HOP_BY_HOP.has(name));
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: Object.fromEntries(passed),
      body: new Uint8Array(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(FORWARD_MS),
    });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
