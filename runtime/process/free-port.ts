import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/**
 * Below the ports that Linux (from 32768), macOS and Windows (from 49152) give to outgoing connections: one of those could be
 * taken by a connection between its choice and the seconds later when a gateway listens on it.
 */
const PORTS = { from: 20_000, to: 30_000 };
const TRIES = 200;

/** The wanted loopback port when nobody listens on it, else any free one. */
export async function freePort(wanted: number | null): Promise<number> {
  if (wanted !== null && (await isFree(wanted))) return wanted;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(PORTS.from, PORTS.to);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port on ${LOOPBACK} among ${TRIES} tried from ${PORTS.from} to ${PORTS.to}.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
