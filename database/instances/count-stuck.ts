import type { EntityManager } from '@mikro-orm/postgresql';
import { STUCK_AFTER_MS } from '../../domain/lifecycle.ts';
import { columns, db } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { asNumber, fromNow, sql } from '../sql.ts';
import { IS_ASLEEP } from './lifecycle/lifecycle-sql.ts';

const TOO_LONG_AGO = fromNow(-STUCK_AFTER_MS);

const INSTANCE = columns(Instance, 'instances');
const HANGS = sql<boolean>`(${INSTANCE.status} <> 'error'
    and greatest(${INSTANCE.transitionStartedAt}, ${INSTANCE.startNotBefore}) < ${TOO_LONG_AGO}
  or ${IS_ASLEEP} and ${INSTANCE.gatewayEpoch} is distinct from 0 and ${INSTANCE.suspendedAt} is null and ${INSTANCE.sleepSince} < ${TOO_LONG_AGO})`;

/** How many instances are in `error`, in one transition for too long, or asleep with a gateway that does not end. */
export async function countStuck(em: EntityManager): Promise<{ error: number; transition: number }> {
  return db(em)
    .selectFrom('Instance')
    .select(({ fn }) => [
      asNumber(fn.countAll().filterWhere('status', '=', 'error')).as('error'),
      asNumber(fn.countAll().filterWhere(HANGS)).as('transition'),
    ])
    .where('deletedAt', 'is', null)
    .executeTakeFirstOrThrow();
}
