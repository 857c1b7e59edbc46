import type { EntityManager } from '@mikro-orm/postgresql';
import { expressionBuilder } from 'kysely';
import type { Expression, RawBuilder } from 'kysely';
import { db } from '../db.ts';
import type { Db } from '../db.ts';
import { anyOf, fromNow, isThere, NOW, run, sql } from '../sql.ts';

/** For so long an account that has taken a gateway leaves the last one of a node to others. */
const FAIR_MS = 600_000;

/** Claims of one account are made one after the other, so that they count each other. Any number that nothing else locks with a second one. */
const CLAIMS_LOCK = 724_310;

interface Claim {
  instanceId: string;
  accountId: string;
  /** Members that may be taken, as findClaimable found them. */
  runtimeIds: readonly string[];
}

export interface ClaimedRuntime {
  runtimeId: string;
  /** Of the pool's last change; the attempt that claims it goes on above. */
  epoch: number;
}

/**
 * Gives an instance that has no storage yet one of these members of the pool, and its spare agents with it; null when none
 * is left for it. The last ready one of a node is not for an account that has just taken one, unless there is no other
 * account. In the caller's transaction, which holds the instance. Never undone: from the commit on it is that instance's alone.
 */
export async function claimMember(
  em: EntityManager,
  { instanceId, accountId, runtimeIds }: Claim,
): Promise<ClaimedRuntime | null> {
  await run(em, sql`select pg_advisory_xact_lock(${CLAIMS_LOCK}, hashtext(${accountId}))`);
  const claimed = await db(em)
    .deleteFrom('PoolMember')
    .where('runtime', '=', (eb) =>
      eb
        .selectFrom('PoolMember as m')
        .innerJoin('Runtime as r', 'r.id', 'm.runtime')
        .select('m.runtime')
        .where('m.runtime', '=', anyOf(runtimeIds))
        .where('m.state', '=', 'ready')
        .where((of) => of.or([hasAnother(of.ref('r.node')), of.not(hasJustClaimed(accountId)), of.not(hasOthers(accountId))]))
        .orderBy('m.readyAt')
        .limit(1)
        .forUpdate('m')
        .skipLocked(),
    )
    .returning(['runtime as runtimeId', 'epoch'])
    .executeTakeFirst();
  if (!claimed) return null;
  const { runtimeId } = claimed;
  // The trigger of this update has the runtime point at the instance.
  const before = await db(em)
    .updateTable('Instance')
    .set({ runtimeId })
    .from('Instance as before')
    .where('Instance.id', '=', instanceId)
    .whereRef('before.id', '=', 'Instance.id')
    .returning('before.runtimeId')
    .executeTakeFirst();
  await db(em).updateTable('Runtime').set({ claimedAt: NOW }).where('id', '=', runtimeId).execute();
  if (before) await db(em).deleteFrom('Runtime').where('id', '=', before.runtimeId).where('instance', 'is', null).execute();
  return claimed;
}

/** More than one is ready on this node. */
function hasAnother(node: Expression<number | null>): RawBuilder<boolean> {
  const ready = expressionBuilder<Db>()
    .selectFrom('PoolMember as other')
    .innerJoin('Runtime as place', 'place.id', 'other.runtime')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('other.state', '=', 'ready')
    .where('place.node', '=', node);
  return sql`${ready} > 1`;
}

function hasJustClaimed(accountId: string): RawBuilder<boolean> {
  const claimed = expressionBuilder<Db>()
    .selectFrom('Runtime as owned')
    .innerJoin('Instance as i', 'i.id', 'owned.instance')
    .where('owned.claimedAt', '>', fromNow(-FAIR_MS))
    .where('i.account', '=', accountId);
  return isThere(claimed);
}

function hasOthers(accountId: string): RawBuilder<boolean> {
  return isThere(expressionBuilder<Db>().selectFrom('Account').where('id', '<>', accountId));
}
