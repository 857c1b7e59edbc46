import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedUpstream {
  /** Ends in /v1. */
  url: string;
  server: Server;
  close(): Promise<void>;
}

/** A provider that does exactly what the test writes, for bytes that the fake model would not send. */
export async function startScriptedUpstream(listener: RequestListener): Promise<ScriptedUpstream> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    // A server that listens on a port has an address of this kind.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
