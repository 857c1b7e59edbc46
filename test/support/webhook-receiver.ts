import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  atMs: number;
}

/** What a path does with a request; by default it answers 200. */
export type Behaviour = (response: ServerResponse, request: IncomingMessage) => void;

export interface WebhookReceiver {
  url: string;
  received: Received[];
  /** The ids of the events that came to this path, each once. */
  eventsAt(path: string): Set<string>;
  behave(path: string, behaviour: Behaviour): void;
  close(): Promise<void>;
}

/** Answers with this status. */
export const answering =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (response) =>
    void response.writeHead(status, headers).end(`answer ${status}`);

/** Never answers. */
export const hanging: Behaviour = () => undefined;

/** Closes the connection in the middle of the headers. */
export const closing: Behaviour = (response) => {
  response.socket?.write('HTTP/1.1 200 OK\r\ncontent-ty');
  response.socket?.destroy();
};

/** Sends a body without an end. */
export const endless: Behaviour = (response) => {
  response.writeHead(200);
  const more = (): void => {
    if (!response.destroyed && response.write('x'.repeat(1_000))) setImmediate(more);
  };
  response.on('drain', more);
  more();
};

/** A customer's server, which notes what comes and behaves per path as it is told. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const behaviours = new Map<string, Behaviour>();
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      received.push({
        path,
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        atMs: performance.timeOrigin + performance.now(),
      });
      (behaviours.get(path) ?? answering(200))(response, request);
    });
    request.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a listening server has an address of this kind
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    eventsAt: (path) => new Set(received.filter((one) => one.path === path).map(({ headers }) => String(headers['webhook-id']))),
    behave: (path, behaviour) => void behaviours.set(path, behaviour),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
