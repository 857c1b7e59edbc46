import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from '../instances/change-lifecycle.ts';
import { runTransaction } from '../run-transaction.ts';
import { query, run, sql } from '../sql.ts';
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
  await run(em, sql`update instances set model_offers = ${offers} where id = ${instanceId} and epoch = ${epoch}`);
}

/**
 * Has the content of running gateways that know other offers of models applied once more, which gives them these offers. Leaves
 * out gateways with a change under way, and takes at most `limit`. Answers how many.
 */
export async function renewOffers(em: EntityManager, { offers, limit }: Offers & { limit: number }): Promise<number> {
  const outdated = sql`${IS_SETTLED} and model_offers is distinct from ${offers}`;
  const found = await query<{ id: string }>(em, sql`select id from instances where ${outdated} order by id limit ${limit}`);
  let count = 0;
  for (const { id } of found) {
    count += await runTransaction(em, async (inner) => {
      const [settled] = await query(inner, sql`select from instances where id = ${id} and ${outdated} for update`);
      if (!settled) return 0;
      await changeLifecycle(inner, { instanceId: id, happening: { kind: 'content-asked' }, allows: () => true });
      return 1;
    });
  }
  return count;
}
