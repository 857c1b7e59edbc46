import type { MikroORM } from '@mikro-orm/postgresql';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { countRuntimes, RUNTIME_STATES } from '../../database/nodes/list-runtimes.ts';

/** Registers the metrics of the runtimes and the pool of a node. Answers what counts the first start of an instance. */
export function registerPoolMetrics(
  registry: Registry,
  { orm, nodeId }: { orm: MikroORM; nodeId: number },
): (start: { isClaimed: boolean }) => void {
  registry.registerMetric(
    new Gauge({
      name: 'thermidora_runtimes',
      help: 'Runtimes of the node of this worker, by their state',
      labelNames: ['state'],
      registers: [],
      async collect() {
        const counts = await countRuntimes(orm.em.fork(), nodeId);
        for (const state of RUNTIME_STATES) this.set({ state }, counts.get(state) ?? 0);
      },
    }),
  );
  const starts = new Counter({
    name: 'thermidora_pool_starts_total',
    help: 'First starts of instances by this worker: with a gateway of the pool (`claimed`), or with a new one (`missed`)',
    labelNames: ['outcome'],
    registers: [registry],
  });
  for (const outcome of ['claimed', 'missed']) starts.inc({ outcome }, 0);
  return ({ isClaimed }) => starts.inc({ outcome: isClaimed ? 'claimed' : 'missed' });
}
