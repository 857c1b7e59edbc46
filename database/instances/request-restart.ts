import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from './change-lifecycle.ts';

/**
 * Asks for a new gateway process, for an instance whose row this transaction holds and that is to be woken. False, and
 * nothing changed, when it does not run: the next start makes a new one anyway. It takes no messages from then on.
 */
export async function requestRestart(
  em: EntityManager,
  { instanceId, now }: { instanceId: string; now: Date },
): Promise<boolean> {
  const changed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'restart-asked' },
    now,
    allows: ({ status, desiredStatus }) => status === 'running' && desiredStatus === 'running',
  });
  return changed !== null;
}
