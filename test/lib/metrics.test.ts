import { expect, test } from '@jest/globals';
import { Counter } from 'prom-client';
import { createMetrics, startMetricsServer } from '../../lib/metrics.ts';

test('GET /metrics shows the metrics of the process and those that were added, and nothing else is there', async () => {
  const registry = createMetrics('api');
  new Counter({ name: 'replies_total', help: 'Replies', registers: [registry] }).inc();
  const server = await startMetricsServer(registry, { host: '127.0.0.1', port: 0 });
  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  const body = await response.text();
  expect(response.headers.get('content-type')).toContain('version=0.0.4');
  expect(body).toContain('replies_total{process="api"} 1');
  expect(body).toContain('process_resident_memory_bytes');
  expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404);
  await server.drain(1_000);
});
