import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../../db.ts';
import { asNumber } from '../../sql.ts';
import { IS_ASLEEP } from '../lifecycle/lifecycle-sql.ts';

/** How many instances of all accounts sleep, and how many are waking. */
export async function countSleeping(em: EntityManager): Promise<{ asleep: number; waking: number }> {
  return db(em)
    .selectFrom('Instance')
    .select(({ fn }) => [
      asNumber(fn.countAll().filterWhere(IS_ASLEEP)).as('asleep'),
      asNumber(fn.countAll().filterWhere('sleepState', '=', 'waking')).as('waking'),
    ])
    .where('deletedAt', 'is', null)
    .where('sleepState', '<>', 'awake')
    .executeTakeFirstOrThrow();
}
