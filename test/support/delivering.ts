import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import type { Activities } from '../../activities/create-activities.ts';
import { createWebhookActivities } from '../../activities/webhooks/create-webhook-activities.ts';
import { listenToNotifications } from '../../database/notifications.ts';
import { createOrm } from '../../database/orm.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { createEncryption } from '../../lib/crypto/encryption.ts';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { createSafeFetch } from '../../lib/net/safe-fetch.ts';
import { startOutboxRelay } from '../../worker/outbox-relay.ts';
import { openTemporalLink } from '../../worker/temporal/temporal-link.ts';
import { bundleApart } from '../../worker/temporal/bundle-apart.ts';
import { createTemporalWorkers } from '../../worker/temporal/temporal-workers.ts';
import { quietTemporal } from '../workflows/quiet-temporal.ts';

export interface DeliveringOptions {
  databaseUrl: string;
  temporal: { address: string; namespace: string };
  masterKey: Buffer;
  busyMs?: number;
  /** How long an endpoint may take to answer. */
  answerMs?: number;
}

export interface Delivering {
  /** Ends as a worker does that is told to: what is left is handed over. */
  stop(): Promise<void>;
}

/** The part of a worker process that delivers to webhooks: the outbox relay and the workers of Temporal. */
export async function startDelivering(options: DeliveringOptions): Promise<Delivering> {
  const { databaseUrl, temporal, masterKey, answerMs } = options;
  const log = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
  quietTemporal(log);
  const orm = await createOrm(databaseUrl);
  const notifications = listenToNotifications(databaseUrl, log);
  const settings = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace, temporalEnv: {} };
  const link = openTemporalLink(settings, log);
  const monotonicMs = (): number => performance.now();
  const drain = new AbortController();
  const safeFetch = createSafeFetch({ allowPrivate: true, ...(answerMs === undefined ? {} : { timeoutMs: answerMs }) });
  const encryption = createEncryption({ masterKeys: [{ id: 'test', key: masterKey }], randomBytes });
  const webhookActivities = createWebhookActivities({
    ...{ orm, notifications, encryption, safeFetch, log, monotonicMs, drain: drain.signal },
    makeId: createIdMaker(randomBytes),
    clock: () => new Date(),
    random: Math.random,
    keep: { AUDIT_DAYS: 365, MODEL_CALL_DAYS: 400, TOMBSTONE_DAYS: 90 },
    onAttempt: () => undefined,
    ...(options.busyMs === undefined ? {} : { busyMs: options.busyMs }),
  });
  const workers = await createTemporalWorkers({
    connection: await link.connected(drain.signal),
    namespace: temporal.namespace,
    // Nothing of an instance's life is done here.
    activities: {} as Activities,
    webhookActivities,
    workflowBundle: await bundleApart(cacheDirOf(process.env)),
    log,
  });
  const running = workers.run();
  const relay = startOutboxRelay({ orm, notifications, temporal: link, monotonicMs, handOver: null, log });
  return {
    async stop() {
      drain.abort();
      await relay.stop();
      workers.shutdown();
      await running;
      await safeFetch.close();
      await notifications.close();
      await link.close();
      await orm.close();
    },
  };
}
