import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

/** How a model call ended: whole; answered 4xx; answered 5xx; cut after it had begun; left by its caller. */
export type CallOutcome = 'completed' | 'refused' | 'failed' | 'cut' | 'abandoned';

export interface RelayMetrics {
  calls: Counter<'outcome'>;
  openCalls: Gauge;
  firstByteSeconds: Histogram;
  usageLost: Counter;
  /** Each time that a provider is asked: it answered, it refused the request, or another one or another time is tried. */
  tries: Counter<'provider' | 'upstream' | 'outcome'>;
  openCircuits: Gauge<'provider' | 'upstream'>;
}

export function createRelayMetrics(registry: Registry): RelayMetrics {
  const registers = [registry];
  return {
    calls: new Counter({
      name: 'thermidora_relay_calls_total',
      help: 'Model calls by how they ended',
      labelNames: ['outcome'],
      registers,
    }),
    openCalls: new Gauge({ name: 'thermidora_relay_open_calls', help: 'Model calls under way', registers }),
    firstByteSeconds: new Histogram({
      name: 'thermidora_relay_first_byte_seconds',
      help: 'Time from a model call to the first byte of its answer',
      buckets: [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 120],
      registers,
    }),
    usageLost: new Counter({
      name: 'thermidora_relay_usage_lost_total',
      help: 'Model calls whose usage the database did not take: a sweep counts what was reserved',
      registers,
    }),
    tries: new Counter({
      name: 'thermidora_relay_tries_total',
      help: 'Calls of a model at a provider by outcome: answered, refused (the fault of the request), failed',
      labelNames: ['provider', 'upstream', 'outcome'],
      registers,
    }),
    openCircuits: new Gauge({
      name: 'thermidora_relay_circuit_open',
      help: 'Whether calls of a model are kept from a provider because it fails',
      labelNames: ['provider', 'upstream'],
      registers,
    }),
  };
}
