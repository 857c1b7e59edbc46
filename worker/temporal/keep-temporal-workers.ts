import { setTimeout as sleep } from 'node:timers/promises';
import type { Activities } from '../../activities/create-activities.ts';
import type { WebhookActivities } from '../../activities/webhooks/create-webhook-activities.ts';
import type { Log } from '../../lib/log.ts';
import type { TemporalLink } from './temporal-link.ts';
import { createTemporalWorkers } from './temporal-workers.ts';
import type { TemporalWorkers } from './temporal-workers.ts';

export interface KeptWorkers {
  /** Takes no more tasks. False when running activities have not ended within this time. */
  stop(withinMs: number): Promise<boolean>;
}

interface Deps {
  temporal: Pick<TemporalLink, 'connected' | 'namespace'>;
  activities: Activities;
  webhookActivities?: WebhookActivities;
  /** The bundle of the workflows. */
  bundle: () => Promise<{ code: string }>;
  nodeId: number;
  buildId?: string | undefined;
  log: Log;
}

const PAUSE_MS = 2_000;

/** Runs the Temporal workers once Temporal can be reached, and starts them again whenever they fail. */
export function keepTemporalWorkers({
  temporal,
  activities,
  webhookActivities,
  bundle,
  nodeId,
  buildId,
  log,
}: Deps): KeptWorkers {
  const stopping = new AbortController();
  const { signal } = stopping;
  let current: TemporalWorkers | null = null;

  async function work(): Promise<void> {
    const connection = await temporal.connected(signal);
    const workflowBundle = await bundle();
    signal.throwIfAborted();
    const all = { activities, nodeId, ...(webhookActivities ? { webhookActivities } : {}), ...(buildId ? { buildId } : {}) };
    current = await createTemporalWorkers({ connection, namespace: temporal.namespace, ...all, workflowBundle, log });
    log.info('the Temporal workers are running');
    const running = current.run();
    // stop() may have been called while the workers were made.
    if (signal.aborted) current.shutdown();
    await running;
  }

  async function keep(): Promise<void> {
    while (!signal.aborted) {
      try {
        await work();
      } catch (err) {
        if (signal.aborted) return;
        log.error({ err }, 'the Temporal workers stopped unexpectedly; starting them again');
      }
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  const kept = keep();
  return {
    async stop(withinMs) {
      stopping.abort();
      current?.shutdown();
      const patience = new AbortController();
      const late = sleep(withinMs, false, { signal: patience.signal, ref: false }).catch(() => false);
      const isOver = await Promise.race([kept.then(() => true), late]);
      patience.abort();
      return isOver;
    },
  };
}
