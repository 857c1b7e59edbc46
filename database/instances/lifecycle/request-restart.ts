import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from './change-lifecycle.ts';

/**
 * Asks for a new gateway process, for an instance whose row this transaction holds and that is to be woken. It takes no messages
 * from then on. False when it does not run: the next start makes a new one then.
 */
export async function requestRestart(
  em: EntityManager,
  { instanceId, now }: { instanceId: string; now: Date },
): Promise<boolean> {
  const changed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'restart-asked' },
    now,
    allows: ({ status, desiredStatus, sleepState }) =>
      desiredStatus === 'running' && (status === 'running' || sleepState !== 'awake'),
  });
  return changed?.before.status === 'running';
}
