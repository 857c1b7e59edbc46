import { z } from 'zod';
import { countStuck } from '../../../database/instances/count-stuck.ts';
import { listTroubles } from '../../../database/models/list-troubles.ts';
import { outboxLag } from '../../../database/processes/claim-outbox.ts';
import { readVitals } from '../../../database/processes/read-vitals.ts';
import { countUnowned } from '../../../database/stores/unowned-runtimes.ts';
import { deliveryLag } from '../../../database/webhooks/delivery-lag.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { timestamp } from '../../contract/fields.ts';

const waiting = (what: string) =>
  z.object({
    count: z.int().meta({ description: `The number of ${what}.` }),
    oldestSeconds: z.number().meta({ description: 'For how long the oldest of them has waited; 0 when there is none.' }),
  });

export const getHealth = defineOperation({
  method: 'GET',
  path: '/admin/health',
  operationId: 'health.get',
  summary: 'Get the state of the parts of the installation and of what waits',
  description:
    'What the Prometheus metrics of the parts say, as one answer. The model relay is judged by its calls: it shares no table of processes with the other parts.',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  success: {
    status: 200,
    schema: z.object({
      at: timestamp,
      temporal: z.enum(['up', 'down', 'unknown']).meta({
        description: '`unknown` when the API has no permission to ask: the connection needs TLS or a key.',
      }),
      temporalUiUrl: z
        .string()
        .nullable()
        .meta({ description: 'The address of the Temporal Web UI; `null` when it is not set.' }),
      processes: z.object({ api: z.int(), worker: z.int() }).meta({
        description: 'The processes that were seen in the last ten seconds. Without a worker nothing starts or stops.',
      }),
      instances: z.object({
        running: z.int(),
        starting: z.int(),
        error: z.int(),
        stuck: z.int().meta({ description: 'In one transition for more than ten minutes.' }),
      }),
      turns: waiting('turns that have not ended'),
      wakeUps: waiting('wake-ups of workflows that wait'),
      deliveries: waiting('deliveries to enabled webhooks that have not ended'),
      modelCalls: z.object({
        perMinute: z.int().meta({ description: 'In the last minute, at most 10,000.' }),
        lastAt: timestamp.nullable(),
        troubled: z.int().meta({ description: 'The models at providers that are asked last, because they failed.' }),
      }),
      unowned: z.object({ quarantined: z.int(), left: z.int() }).meta({ description: 'The runtimes that no instance owns.' }),
    }),
  },
  errors: [],

  async handle({ em, deps }) {
    const [vitals, stuck, unowned] = [await readVitals(em), await countStuck(em), await countUnowned(em)];
    const [wakeUps, deliveries, troubles] = [await outboxLag(em), await deliveryLag(em), await listTroubles(em)];
    const { apis, workers, running, starting, turns, oldestTurnSeconds, modelCallsPerMinute, lastModelCallAt } = vitals;
    return {
      at: deps.clock().toISOString(),
      temporalUiUrl: deps.config.TEMPORAL_UI_URL ?? null,
      processes: { api: apis, worker: workers },
      instances: { running, starting, error: stuck.error, stuck: stuck.transition },
      turns: { count: turns, oldestSeconds: Math.max(0, oldestTurnSeconds) },
      wakeUps: { count: wakeUps.rows, oldestSeconds: Math.max(0, wakeUps.oldestSeconds) },
      deliveries: { count: deliveries.waiting, oldestSeconds: deliveries.oldestSeconds },
      modelCalls: {
        perMinute: modelCallsPerMinute,
        lastAt: lastModelCallAt?.toISOString() ?? null,
        troubled: troubles.length,
      },
      unowned: { quarantined: unowned.quarantined, left: unowned.left },
    };
  },
  // The network is asked outside of the transaction.
  async after(stored, { deps }) {
    return { ...stored, temporal: await deps.probeTemporal() };
  },
});
