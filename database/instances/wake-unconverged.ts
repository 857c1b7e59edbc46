import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { isThere, sql } from '../sql.ts';
import { IS_UNCONVERGED } from './lifecycle/lifecycle-sql.ts';

/** Wakes the reconciler for every instance that is not as it is wanted, unless it is to be woken already. */
export async function wakeUnconverged(em: EntityManager): Promise<number> {
  const { numInsertedOrUpdatedRows } = await db(em)
    .insertInto('OutboxEntry')
    .columns(['workflow', 'subjectId'])
    .expression((eb) =>
      eb
        .selectFrom('Instance')
        .select([sql<'reconcileInstance'>`'reconcileInstance'`.as('workflow'), 'Instance.id as subjectId'])
        .where(IS_UNCONVERGED)
        .where((of) => {
          const wakes = of
            .selectFrom('OutboxEntry as o')
            .whereRef('o.subjectId', '=', 'Instance.id')
            .where('o.workflow', '=', 'reconcileInstance')
            .where('o.claimedUntil', 'is', null);
          return of.not(isThere(wakes));
        }),
    )
    .executeTakeFirst();
  return Number(numInsertedOrUpdatedRows ?? 0);
}
