import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Longer than a load balancer keeps an idle connection (60 s), so that it never sends on one that we just closed. */
const KEEP_ALIVE_MS = 75_000;

export interface HttpServer {
  port: number;
  /**
   * Takes no new connection, tells clients to leave, and resolves when every request has its answer, or after graceMs,
   * when what is still open has been cut. Calling it again waits for the same end.
   */
  drain(graceMs: number): Promise<void>;
}

/** Listens on this address; port 0 takes a free one. Rejects when the port cannot be had. */
export async function startHttpServer(
  listener: RequestListener,
  { host, port }: { host: string; port: number },
): Promise<HttpServer> {
  let isDraining = false;
  const open = new Set<ServerResponse>();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    open.add(response);
    if (isDraining) response.setHeader('connection', 'close');
    response.once('close', () => {
      open.delete(response);
      // The connection of an answer that was begun before the drain was told to stay; it is idle one tick later.
      if (isDraining) setImmediate(() => server.closeIdleConnections());
    });
    listener(request, response);
  });
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
