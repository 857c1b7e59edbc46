import type { Deps } from '../../deps.ts';
import { waitForInstance } from '../../../database/instances/wait-for-instance.ts';
import { db } from '../../../database/db.ts';

/** How long a change may take to reach the running gateway before its call answers anyway. */
const PATIENCE_MS = 10_000;

export interface ContentChange {
  instanceId: string;
  generation: number;
}

/** Waits until the gateway has this change, the instance does not run (then the next start applies it), or ten seconds are over. */
export async function awaitApplied(deps: Deps, { instanceId, generation }: ContentChange, signal: AbortSignal): Promise<void> {
  await waitForInstance(deps.notifications, { instanceId, timeoutMs: PATIENCE_MS, signal }, async () => {
    const instance = await db(deps.orm.em.fork())
      .selectFrom('Instance')
      .select(['status', 'desiredStatus', 'appliedContentGeneration'])
      .where('id', '=', instanceId)
      .executeTakeFirst();
    const isRunning = instance?.status === 'running' && instance.desiredStatus === 'running';
    return !isRunning || instance.appliedContentGeneration >= generation ? true : undefined;
  });
}
