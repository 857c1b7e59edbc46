import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { z } from 'zod';
import type { Config } from '../lib/settings/config.ts';
import { isErrno } from '../lib/errno.ts';
import { replaceFile } from '../runtime/host/replace-file.ts';
import { Refusal } from './refusal.ts';

const LOOPBACK = '127.0.0.1';
/** The metrics of the API, the worker and the relay stand one after the other. */
export const WORKER_METRICS_OFFSET = 1;
const METRICS_PORTS = 3;
const HIGHEST_PORT = 65_535;

interface WantedPort {
  setting: 'PORT' | 'RELAY_PORT' | 'METRICS_PORT';
  host: string;
  port: number;
}

type PortSettings = Pick<Config, 'HOST' | 'PORT' | 'METRICS_HOST' | 'RELAY_HOST' | 'RELAY_PORT' | 'METRICS_PORT'>;

/** Throws Refusal when a port of the API, the relay or the metrics is taken or asked for twice, naming its setting. */
export async function checkPorts(config: PortSettings): Promise<void> {
  const wanted: WantedPort[] = [
    { setting: 'PORT', host: config.HOST, port: config.PORT },
    { setting: 'RELAY_PORT', host: config.RELAY_HOST, port: config.RELAY_PORT },
    ...Array.from({ length: METRICS_PORTS }, (_, index) => ({
      setting: 'METRICS_PORT' as const,
      host: config.METRICS_HOST,
      port: config.METRICS_PORT + index,
    })),
  ];
  for (const [index, { setting, host, port }] of wanted.entries()) {
    const twin = wanted.slice(0, index).find((earlier) => earlier.port === port);
    if (twin)
      throw new Refusal(
        `${twin.setting} and ${setting} both ask for port ${port} (METRICS_PORT takes the next two as well). Change one of them.`,
      );
    if (await isFree(host, port, setting)) continue;
    throw new Refusal(
      `Port ${port} of ${host} is used by another program. Stop that, or choose another port with ${setting}` +
        (setting === 'METRICS_PORT' ? ' (it and the next two must be free).' : `, as in "${setting}=${port + 100} npm start".`),
    );
  }
}

async function isFree(host: string, port: number, setting: string): Promise<boolean> {
  try {
    await tryListen(host, port);
    return true;
  } catch (error) {
    if (isErrno(error, 'EADDRINUSE')) return false;
    if (isErrno(error, 'EACCES'))
      throw new Refusal(`This user may not listen on port ${port} of ${host}. Choose one above 1023 with ${setting}.`);
    if (isErrno(error, 'EADDRNOTAVAIL', 'ENOTFOUND'))
      throw new Refusal(`${host} is no address of this machine. Correct HOST, METRICS_HOST or RELAY_HOST.`);
    throw error;
  }
}

function tryListen(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

const keptPorts = z.object({ temporal: z.int(), temporalUi: z.int() }).partial();
export type PortName = keyof z.infer<typeof keptPorts>;

/** The ports of Temporal and its Web UI: the same at every start, unless another program has taken them. */
export class KeptPorts {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** The kept port, or the first free one from here on; it is written down. */
  async take(name: PortName, from: number): Promise<number> {
    const kept = await this.#read();
    const candidates = [kept[name] ?? from, ...Array.from({ length: HIGHEST_PORT - from }, (_, index) => from + index)];
    for (const port of candidates) {
      const isKeptForOther = Object.entries(kept).some(([other, value]) => other !== name && value === port);
      if (isKeptForOther || !(await isFree(LOOPBACK, port, 'another port'))) continue;
      if (kept[name] !== port) await replaceFile(this.#file, `${JSON.stringify({ ...kept, [name]: port })}\n`, 0o600);
      return port;
    }
    throw new Refusal(`No port from ${from} up is free on ${LOOPBACK}.`);
  }

  async #read(): Promise<z.infer<typeof keptPorts>> {
    try {
      return keptPorts.parse(JSON.parse(await readFile(this.#file, 'utf8')));
    } catch (error) {
      // A file that cannot be read costs only the choice of a port.
      if (isErrno(error, 'ENOENT') || error instanceof SyntaxError || error instanceof z.ZodError) return {};
      throw error;
    }
  }
}
