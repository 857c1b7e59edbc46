import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';

/** What happens to a request on its way. Each fault is for one request, in their order. */
const fault = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  /** The connection is lost before the API has the request. */
  z.object({ kind: z.literal('lose-request') }),
  /** The API does its work, and the connection is lost before a byte of its answer. */
  z.object({ kind: z.literal('lose-answer') }),
  /** The connection is lost once this text has passed. */
  z.object({ kind: z.literal('cut-after'), text: z.string() }),
  /** Something before the API answers. */
  z.object({
    kind: z.literal('answer'),
    status: z.int(),
    headers: z.record(z.string(), z.string()).default({}),
    body: z.string(),
  }),
]);
export type Fault = z.input<typeof fault>;

export interface SeenRequest {
  method: string;
  path: string;
  key: string | null;
  lastEventId: string | null;
}

/** Stands before the API and loses, cuts or replaces what passes. */
export interface FaultyProxy {
  url: string;
  /** The faults of the next requests; what was seen is forgotten. */
  expect(...faults: Fault[]): void;
  seen(): readonly SeenRequest[];
  close(): Promise<void>;
}

/** Starts it. A program in another process tells it its faults by `POST /_faults` and reads `GET /_seen`. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  let faults: z.output<typeof fault>[] = [];
  let seen: SeenRequest[] = [];
  const expectFaults = (given: unknown): void => {
    faults = z.array(fault).parse(given);
    seen = [];
  };

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const { method = 'GET', url = '/', headers } = request;
    if (url === '/_faults') {
      expectFaults(JSON.parse(body.toString()));
      return void response.end('{}');
    }
    if (url === '/_seen') return void response.end(JSON.stringify(seen));
    const [key, lastEventId] = [headers['idempotency-key'], headers['last-event-id']];
    seen.push({ method, path: url, key: key ? String(key) : null, lastEventId: lastEventId ? String(lastEventId) : null });
    const now = faults.shift() ?? { kind: 'none' };
    if (now.kind === 'lose-request') return void request.socket.destroy();
    if (now.kind === 'answer') return void response.writeHead(now.status, now.headers).end(now.body);
    await forward(request, response, { body, now, target });
  }

  const server = createServer((request, response) => void pass(request, response).catch(() => response.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    expect: (...given) => expectFaults(given),
    seen: () => seen,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Forwarded {
  body: Buffer;
  now: z.output<typeof fault>;
  target: string;
}

async function forward(request: IncomingMessage, response: ServerResponse, { body, now, target }: Forwarded): Promise<void> {
  const upstream = send(`${target}${request.url ?? '/'}`, { method: request.method, headers: request.headers });
  response.once('close', () => upstream.destroy());
  upstream.end(body);
  const [answer]: IncomingMessage[] = await once(upstream, 'response');
  if (!answer) return;
  if (now.kind === 'lose-answer') {
    await buffer(answer);
    request.socket.destroy();
    return;
  }
  response.writeHead(answer.statusCode ?? 500, answer.headers);
  let passed = '';
  for await (const chunk of answer) {
    response.write(chunk);
    passed += String(chunk);
    if (now.kind !== 'cut-after' || !passed.includes(now.text)) continue;
    // What was written leaves before the connection is gone.
    await new Promise((resolve) => response.write('', resolve));
    request.socket.destroySoon();
    return;
  }
  response.end();
}
