import { collectDefaultMetrics, Registry } from 'prom-client';
import { startHttpServer } from './net/http-server.ts';
import type { HttpServer } from './net/http-server.ts';

/** A registry of this process's metrics, with those of Node itself (memory, event loop, garbage collection). */
export function createMetrics(processName: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ process: processName });
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Serves GET /metrics in the Prometheus text format on a separate address, so that it is not public. */
export async function startMetricsServer(registry: Registry, address: { host: string; port: number }): Promise<HttpServer> {
  return startHttpServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  }, address);
}
