import { z } from 'zod';
import type { Instance } from '../../../database/entities/instance.ts';
import type { DesiredStatus, InstanceStatus } from '../../../domain/lifecycle.ts';
import type { Deps } from '../../deps.ts';
import { findInstance } from '../../find-instance.ts';
import { waitForInstance } from '../../../database/instances/wait-for-instance.ts';
import { presentInstance } from './instance.schema.ts';

const MAX_WAIT_SECONDS = 60;

/** Seconds to wait, as whole number from 0; what is over a minute is clamped. */
export const waitSeconds = z
  .string()
  .regex(/^\d+$/, 'Must be a whole number of seconds.')
  .transform((text) => Math.min(Number(text), MAX_WAIT_SECONDS))
  .meta({
    description: `How long to wait for the status, in seconds. The call then returns the instance in its current state. Values over ${MAX_WAIT_SECONDS} are treated as ${MAX_WAIT_SECONDS}.`,
    override: ({ jsonSchema }) => {
      delete jsonSchema.pattern;
      Object.assign(jsonSchema, { type: 'integer', minimum: 0 });
    },
  });

interface StatusWait {
  accountId: string;
  instanceId: string;
  status: InstanceStatus;
  seconds: number;
  signal: AbortSignal;
}

/**
 * The instance as GET would answer it, once it has this status, can no longer get it, or the time is up. Throws
 * `not_found` when it is gone.
 */
export async function awaitStatus(deps: Deps, { accountId, instanceId, status, seconds, signal }: StatusWait) {
  const wait = { instanceId, timeoutMs: seconds * 1000, signal };
  await waitForInstance(deps.notifications, wait, async () => {
    const row = await findInstance(deps.orm.em.fork(), { accountId, instanceId });
    return isReached(row, status) || isOutOfReach(row, status) ? true : undefined;
  });
  return presentInstance(deps.orm.em.fork(), { accountId, instanceId });
}

type Standing = Pick<Instance, 'status' | 'desiredStatus' | 'transitionKind' | 'powerGeneration' | 'errorGeneration'>;

const WANTED_FOR: Partial<Record<InstanceStatus, DesiredStatus>> = {
  provisioning: 'running',
  running: 'running',
  stopped: 'stopped',
  destroying: 'destroyed',
};

function isReached(row: Standing, status: InstanceStatus): boolean {
  return row.status === status && (status !== 'running' || row.transitionKind === null);
}

/** Another status is wanted by now, or what was wanted has failed. */
function isOutOfReach(row: Standing, status: InstanceStatus): boolean {
  const wanted = WANTED_FOR[status];
  if (wanted === undefined) return row.desiredStatus === 'destroyed';
  const hasFailed = row.status === 'error' && row.errorGeneration === row.powerGeneration;
  return wanted !== row.desiredStatus || hasFailed;
}
