import { once } from 'node:events';
import { createServer, STATUS_CODES } from 'node:http';
import type { RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

/** Longer than a load balancer keeps an idle connection (60 s), so that it never sends on one that we just closed. */
const KEEP_ALIVE_MS = 75_000;
/** For a request to arrive, its body included. */
const ARRIVAL_MS = 60_000;
/** How late the end of that time may be noticed. */
const CHECK_MS = 5_000;

export interface HttpServer {
  port: number;
  /**
   * Takes no new connection, tells clients to leave, and resolves when every request has its answer, or after graceMs,
   * when what is still open has been cut. Calling it again waits for the same end.
   */
  drain(graceMs: number): Promise<void>;
}

/** The status of an answer to bytes that are no whole HTTP request. */
export type UnparsedStatus = 400 | 408 | 413 | 431;

/** The JSON that goes with such a status. */
export type ExplainUnparsed = (status: UnparsedStatus) => { headers: Record<string, string>; body: string };

interface HttpServerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** How long a request may take to arrive, its body included; by default a minute. */
  arrivalMs?: number;
  /** A client that waits for it is told to send its body by the listener, with `writeContinue`; by default at once. */
  continues?: true;
  /**
   * Writes the answers that Node would give without a body. The listener then also decides about a request of HTTP/1.1
   * without a Host header.
   */
  explainUnparsed?: ExplainUnparsed;
}

/** Why Node's parser gave up, other than 400. */
const STATUS_OF_CODE: Record<string, UnparsedStatus> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
};

/** Listens on this address. Rejects when the port cannot be had. */
export async function startHttpServer(
  listener: RequestListener,
  { host, port, explainUnparsed, continues, arrivalMs = ARRIVAL_MS }: HttpServerOptions,
): Promise<HttpServer> {
  let isDraining = false;
  const open = new Set<ServerResponse>();
  const serve: RequestListener = (request, response) => {
    open.add(response);
    if (isDraining) response.setHeader('connection', 'close');
    response.once('close', () => {
      open.delete(response);
      // The connection of an answer that was begun before the drain was told to stay; it is idle one tick later.
      if (isDraining) setImmediate(() => server.closeIdleConnections());
    });
    listener(request, response);
  };
  const timing = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: arrivalMs,
    headersTimeout: arrivalMs,
    connectionsCheckingInterval: Math.min(CHECK_MS, arrivalMs),
  };
  const server = createServer({ ...timing, requireHostHeader: !explainUnparsed }, serve);
  // Without it Node answers an Expect other than 100-continue itself.
  server.on('checkExpectation', serve);
  if (continues) server.on('checkContinue', serve);
  if (explainUnparsed) {
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      // Half an answer is out already: more would only spoil it.
      const isAnswering = [...open].some((response) => response.socket === socket && response.headersSent);
      if (isAnswering || !socket.writable) socket.destroy();
      else answerUnparsed(socket, STATUS_OF_CODE[error.code ?? ''] ?? 400, explainUnparsed);
    });
    server.on('connect', (_request, socket) => answerUnparsed(socket, 400, explainUnparsed));
  }
  server.listen(port, host);
  await once(server, 'listening');
  const closed = new Promise<void>((resolve) => server.once('close', resolve));

  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on a port has an address of this kind
    port: (server.address() as AddressInfo).port,
    async drain(graceMs) {
      if (!isDraining) {
        isDraining = true;
        server.close();
        for (const response of open) if (!response.headersSent) response.setHeader('connection', 'close');
      }
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

/** Writes the last answer of a connection. */
function answerUnparsed(socket: Duplex, status: UnparsedStatus, explain: ExplainUnparsed): void {
  const { headers, body } = explain(status);
  const lines = Object.entries({
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  // The client may be gone by now.
  socket.on('error', () => undefined);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
}
