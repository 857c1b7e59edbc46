import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from '../instances/lifecycle/change-lifecycle.ts';
import { runTransaction } from '../run-transaction.ts';
import { db } from '../db.ts';
import { IS_SETTLED } from './content-drift.ts';

interface Offers {
  /** `offersDigest` of the settings that a gateway was configured with. */
  offers: string;
}

/** Notes which offers of models the gateway of this instance knows. Changes nothing once a newer attempt has begun. */
export async function noteOffers(
  em: EntityManager,
  { instanceId, epoch, offers }: Offers & { instanceId: string; epoch: number },
): Promise<void> {
  await db(em)
    .updateTable('Instance')
    .set({ modelOffers: offers })
    .where('id', '=', instanceId)
    .where('epoch', '=', epoch)
    .execute();
}

/** Whether the gateway of this instance knows these offers of models. */
export async function knowsOffers(em: EntityManager, { instanceId, offers }: Offers & { instanceId: string }): Promise<boolean> {
  const found = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('id', '=', instanceId)
    .where('modelOffers', '=', offers)
    .executeTakeFirst();
  return found !== undefined;
}

/**
 * Has the content of running gateways that know other offers of models applied once more, which gives them these offers. Leaves
 * out gateways with a change under way, and takes at most `limit`. Answers how many.
 */
export async function renewOffers(em: EntityManager, { offers, limit }: Offers & { limit: number }): Promise<number> {
  const outdated = (inner: EntityManager) =>
    db(inner).selectFrom('Instance').select('id').where(IS_SETTLED).where('modelOffers', 'is distinct from', offers);
  const found = await outdated(em).orderBy('id').limit(limit).execute();
  let count = 0;
  for (const { id } of found) {
    count += await runTransaction(em, async (inner) => {
      const settled = await outdated(inner).where('id', '=', id).forUpdate().executeTakeFirst();
      if (!settled) return 0;
      await changeLifecycle(inner, { instanceId: id, happening: { kind: 'content-asked' }, allows: () => true });
      return 1;
    });
  }
  return count;
}
