import type { ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { startHttpServer } from '../../lib/net/http-server.ts';
import type { HttpServer } from '../../lib/net/http-server.ts';
import type { Log } from '../../lib/log.ts';
import type { Observed } from '../worker-metrics.ts';

const TEMPORAL_MS = 1_000;

type Told = Pick<Observed, 'temporal' | 'leases' | 'watches' | 'backups'>;

interface Options extends Told {
  registry: Registry;
  host: string;
  port: number;
  log: Log;
}

/** Serves GET /metrics, and GET /readyz: 200 while the process does its work, whether Temporal is there or not. */
export async function startStatusServer({ registry, host, port, log, ...observed }: Options): Promise<HttpServer> {
  return startHttpServer(
    (request, response) => {
      answer(request.method === 'GET' ? request.url : undefined, response).catch((err: unknown) => {
        log.warn({ err }, 'the state of the worker could not be read');
        response.writeHead(503).end();
      });
    },
    { host, port },
  );

  async function answer(path: string | undefined, response: ServerResponse): Promise<void> {
    if (path === '/metrics') {
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    } else if (path === '/readyz') {
      const status = await statusOf(observed);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(status));
    } else response.writeHead(404).end();
  }
}

async function statusOf({ temporal, leases, watches, backups }: Told) {
  const isUp = await temporal.isUp(TEMPORAL_MS);
  const shards = [...(leases.held()?.epochs.keys() ?? [])].toSorted((one, other) => one - other);
  return { status: 'ready', temporal: isUp ? 'up' : 'down', shards, gateways: watches.counts(), backups: backups.state() };
}
