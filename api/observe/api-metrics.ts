import { Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { RequestMetrics } from './observe-requests.ts';
import type { ProbeTemporal } from './probe-temporal.ts';

const BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600];

/** Counts and times requests by operation and status; the gauge of Temporal asks when it is read. */
export function createRequestMetrics(registry: Registry, probeTemporal: ProbeTemporal): RequestMetrics {
  const duration = new Histogram({
    name: 'thermidora_api_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['operation', 'status'],
    buckets: BUCKETS_SECONDS,
    registers: [registry],
  });
  new Gauge({
    name: 'thermidora_temporal_up',
    help: 'Whether Temporal serves: 1 yes, 0 no, -1 not known',
    registers: [registry],
    async collect() {
      const states = { up: 1, down: 0, unknown: -1 };
      this.set(states[await probeTemporal()]);
    },
  });
  return {
    observe({ operationId, status, seconds }) {
      duration.observe({ operation: operationId, status: String(status) }, seconds);
    },
  };
}
