import { createSocket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/**
 * Below the ports that Linux (from 32768), macOS and Windows (from 49152) give to outgoing connections: one of those could be
 * taken by a connection between its choice and the seconds later when a gateway listens on it.
 */
const PORTS = { from: 20_000, to: 30_000 };
const TRIES = 200;
/** Longer than a gateway takes to listen on a busy machine. */
const RESERVED_MS = 120_000;

/**
 * The wanted loopback port when no process listens on it, else any free one. No other call answers that one for two minutes, in
 * this process or another, for as long as this process lives.
 */
export async function freePort(wanted: number | null): Promise<number> {
  if (wanted !== null && (await isFree(wanted))) {
    await reserve(wanted);
    return wanted;
  }
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(PORTS.from, PORTS.to);
    if (await takePort(port)) return port;
  }
  throw new Error(`No free port on ${LOOPBACK} among ${TRIES} tried from ${PORTS.from} to ${PORTS.to}.`);
}

/** Reserves a port as `freePort` does, unless a process listens on it or has reserved it. */
export async function takePort(port: number): Promise<boolean> {
  return (await isFree(port)) && (await reserve(port));
}

/** The first of so many ports of the loopback address that are free and reserved, one after the other. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort(null);
    let port = first + 1;
    while (port < first + count && (await takePort(port))) port += 1;
    if (port === first + count) return first;
  }
}

/** Reserves a port by a UDP socket of the same number, which blocks no TCP listener and is closed with its process. */
function reserve(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    socket.bind({ port, address: LOOPBACK, exclusive: true }, () => {
      socket.unref();
      setTimeout(() => socket.close(), RESERVED_MS).unref();
      resolve(true);
    });
  });
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
