import type { EntityManager } from '@mikro-orm/postgresql';
import { INSTANCE_NOTES } from '../../domain/failures.ts';
import type { InstanceNote } from '../../domain/failures.ts';
import { changeLifecycle } from './lifecycle/change-lifecycle.ts';

/**
 * Says something about the content of an instance in its row, once, in the caller's transaction; the next start, or
 * change of its content, removes it.
 */
export async function noteInstance(
  em: EntityManager,
  { instanceId, note }: { instanceId: string; note: InstanceNote },
): Promise<void> {
  await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'noted', note },
    allows: ({ status, desiredStatus, reasonCode }) =>
      status === 'running' && desiredStatus === 'running' && reasonCode !== INSTANCE_NOTES[note].code,
  });
}
