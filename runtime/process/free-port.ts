import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** The wanted loopback port when nobody listens on it, else any free one. */
export async function freePort(wanted: number | null): Promise<number> {
  if (wanted !== null) {
    const kept = await tryPort(wanted);
    if (kept !== null) return kept;
  }
  const port = await tryPort(0);
  if (port === null) throw new Error('No free port on 127.0.0.1 for a gateway.');
  return port;
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on a TCP port always has an AddressInfo
      const address = server.address() as AddressInfo;
      server.close(() => resolve(address.port));
    });
  });
}
