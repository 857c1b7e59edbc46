import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from './lifecycle/change-lifecycle.ts';

/**
 * Has the reconciler look at this instance again, also when its last try has ended in an error. Answers the id of its
 * account; null when there is no such instance.
 */
export async function lookAgain(em: EntityManager, instanceId: string): Promise<string | null> {
  const allows = ({ deletedAt }: { deletedAt: Date | null }) => deletedAt === null;
  const changed = await changeLifecycle(em, { instanceId, happening: { kind: 'look-asked' }, allows });
  return changed?.before.accountId ?? null;
}
