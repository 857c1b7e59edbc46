import { ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Client, ScheduleOptions } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import {
  SWEEP_BILLING,
  SWEEP_BILLING_ID,
  SWEEP_DRIFT,
  SWEEP_DRIFT_ID,
  SWEEP_RETENTION,
  SWEEP_RETENTION_ID,
  SWEEP_WEBHOOKS,
  SWEEP_WEBHOOKS_ID,
} from '../../domain/temporal/workflow-ids.ts';
import { ensureNamespace } from './temporal-setup.ts';

const RPC_MS = 10_000;

/** A workflow without arguments that runs each minute. */
function eachMinute(scheduleId: string, workflowType: string, overlap: ScheduleOverlapPolicy): ScheduleOptions {
  return eachTime('1 minute', scheduleId, workflowType, overlap);
}

function eachTime(
  every: '1 minute' | '1 hour',
  scheduleId: string,
  workflowType: string,
  overlap: ScheduleOverlapPolicy,
): ScheduleOptions {
  return {
    scheduleId,
    spec: { intervals: [{ every }] },
    policies: { overlap, catchupWindow: '10 minutes' },
    action: { type: 'startWorkflow', workflowType, workflowId: scheduleId, taskQueue: TASK_QUEUES.maintenance, args: [] },
  };
}

const SWEEPS: readonly ScheduleOptions[] = [
  eachMinute(SWEEP_DRIFT_ID, SWEEP_DRIFT, ScheduleOverlapPolicy.SKIP),
  // It watches until its minute is nearly over, so the next one may have to wait for a moment.
  eachMinute(SWEEP_BILLING_ID, SWEEP_BILLING, ScheduleOverlapPolicy.BUFFER_ONE),
  eachMinute(SWEEP_WEBHOOKS_ID, SWEEP_WEBHOOKS, ScheduleOverlapPolicy.SKIP),
  eachTime('1 hour', SWEEP_RETENTION_ID, SWEEP_RETENTION, ScheduleOverlapPolicy.SKIP),
];

interface Temporal {
  connection: NativeConnection;
  client: Client;
  namespace: string;
}

/**
 * Makes the namespace, the search attributes and the schedules that we need, where they are missing: a Temporal that lost
 * its store is as before after this. Throws Temporal's error when it cannot be reached; the next call does the rest.
 */
export async function ensureTemporalSetup({ connection, client, namespace }: Temporal): Promise<void> {
  await connection.withDeadline(Date.now() + RPC_MS, async () => {
    await ensureNamespace(connection, namespace);
    await Promise.all(SWEEPS.map((sweep) => ensureSweep(client, sweep)));
  });
}

/** Has the schedules be as this version defines them; one that was paused stays so. */
export async function updateSchedules({ client, connection }: Pick<Temporal, 'client' | 'connection'>): Promise<void> {
  await connection.withDeadline(Date.now() + RPC_MS, async () => {
    for (const sweep of SWEEPS) await client.schedule.getHandle(sweep.scheduleId).update(({ state }) => ({ ...sweep, state }));
  });
}

async function ensureSweep(client: Client, sweep: ScheduleOptions): Promise<void> {
  try {
    // At once: until the next full minute a new installation, or one whose Temporal lost its store, would stop no instance whose money is used up.
    await client.schedule.create({ ...sweep, state: { triggerImmediately: true } });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
