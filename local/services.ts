import { join } from 'node:path';
import { createTemporalProbe } from '../api/observe/probe-temporal.ts';
import type { Config } from '../lib/settings/config.ts';
import { SMALL_PROCESS_ENV } from '../lib/small-process.ts';
import type { Leftover } from './pid-file.ts';
import type { Place } from './place.ts';
import { WORKER_METRICS_OFFSET } from './ports.ts';
import type { ServiceSpec } from './service.ts';
import { devServerArguments } from './temporal/temporal-arguments.ts';

const LOOPBACK = '127.0.0.1';
const PROBE_MS = 2_000;
const READY_MS = 60_000;

export type ServiceName = 'api' | 'relay' | 'worker' | 'temporal';

const TITLES: Record<ServiceName, string> = {
  api: 'The API',
  relay: 'The model relay',
  worker: 'The worker',
  temporal: 'Temporal',
};

/**
 * How each part is asked to end. SIGINT tells the worker that this machine stops: it gives its gateways 30 s, then stops
 * them. SIGTERM would leave them running for the next worker.
 */
const STOPS: Record<ServiceName, ServiceSpec['stop']> = {
  worker: { signal: 'SIGINT', withinMs: 75_000 },
  api: { signal: 'SIGTERM', withinMs: 20_000 },
  relay: { signal: 'SIGTERM', withinMs: 40_000 },
  temporal: { signal: 'SIGTERM', withinMs: 20_000 },
};

/** In the order in which they may be ended. */
const STOP_ORDER = ['worker', 'api', 'relay', 'temporal'] as const;

/** The title of a part within a sentence. */
export function inSentence(title: string): string {
  return title.replace('The ', 'the ');
}

/** Where a part of the stack writes its output. */
export function logFileOf({ logDir }: Pick<Place, 'logDir'>, name: ServiceName): string {
  return join(logDir, `${name}.log`);
}

function pidFileOf({ runDir }: Pick<Place, 'runDir'>, name: ServiceName): string {
  return join(runDir, `${name}.pid`);
}

/** What a killed start may have left behind, in the order in which it is to be ended. */
export function leftoversOf(place: Pick<Place, 'runDir'>): Leftover[] {
  return STOP_ORDER.map((name) => ({
    title: inSentence(TITLES[name]),
    pidFile: pidFileOf(place, name),
    withinMs: STOPS[name].withinMs,
  }));
}

type Env = Readonly<Record<string, string>>;

/** The API, the model relay or the worker: a program of ours with this environment. */
export function nodeService(
  name: 'api' | 'relay' | 'worker',
  place: Place,
  { config, env }: { config: Config; env: Env },
): ServiceSpec {
  const probes = {
    api: () => answersOk(`${originOf(config.HOST, config.PORT)}/readyz`),
    relay: () => answersOk(`${originOf(config.RELAY_HOST, config.RELAY_PORT)}/readyz`),
    worker: () => isWorkerReady(originOf(config.METRICS_HOST, config.METRICS_PORT + WORKER_METRICS_OFFSET)),
  };
  return {
    title: TITLES[name],
    program: {
      command: process.execPath,
      args: [join(place.projectDir, name, 'main.ts')],
      env: { ...SMALL_PROCESS_ENV, ...env },
      cwd: place.projectDir,
    },
    logFile: logFileOf(place, name),
    pidFile: pidFileOf(place, name),
    isReady: probes[name],
    readyWithinMs: READY_MS,
    stop: STOPS[name],
  };
}

export interface TemporalOptions {
  /** The CLI with the development server in it. */
  binary: string;
  /** Holds its data. */
  dataDir: string;
  port: number;
  uiPort: number;
  namespace: string;
  env: Env;
}

/** The Temporal of one machine, with its Web UI. It adds the namespace and the search attributes where they are missing. */
export function temporalService(place: Place, { binary, dataDir, port, uiPort, namespace, env }: TemporalOptions): ServiceSpec {
  const address = `${LOOPBACK}:${port}`;
  const probe = createTemporalProbe(address, {});
  return {
    title: TITLES.temporal,
    program: {
      command: binary,
      args: [
        ...devServerArguments({ port, uiPort, databaseFile: join(dataDir, 'temporal.db') }),
        ...['--disable-config-file', '--disable-config-env', '--namespace', namespace],
      ],
      env: Object.fromEntries(['PATH', 'HOME', 'TMPDIR'].map((name) => [name, env[name]])),
      cwd: dataDir,
    },
    logFile: logFileOf(place, 'temporal'),
    pidFile: pidFileOf(place, 'temporal'),
    isReady: async () => (await probe()) === 'up',
    readyWithinMs: READY_MS,
    stop: STOPS.temporal,
  };
}

/** Where something that listens on this address is reached from this machine. */
export function originOf(host: string, port: number): string {
  if (host === '0.0.0.0') return originOf(LOOPBACK, port);
  if (host === '::') return originOf('::1', port);
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A worker that does not speak of its readiness is ready when its metrics answer. */
async function isWorkerReady(origin: string): Promise<boolean> {
  const status = await statusOf(`${origin}/readyz`);
  return status === 404 ? answersOk(`${origin}/metrics`) : status === 200;
}

async function answersOk(url: string): Promise<boolean> {
  return (await statusOf(url)) === 200;
}

async function statusOf(url: string): Promise<number | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_MS) });
    await response.body?.cancel();
    return response.status;
  } catch {
    return null;
  }
}
