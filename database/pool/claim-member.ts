import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** For so long an account that has taken a gateway leaves the last one of a node to others. */
const FAIR = sql`interval '10 minutes'`;

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
  await query(em, sql`select pg_advisory_xact_lock(${CLAIMS_LOCK}, hashtext(${accountId}))`);
  const [claimed] = await query<ClaimedRuntime>(
    em,
    sql`delete from pool_members where runtime_id = (
       select runtime_id from pool_members
        where runtime_id in (select jsonb_array_elements_text(${JSON.stringify(runtimeIds)}::jsonb)) and state = 'ready'
          and ((select count(*) from pool_members others join runtimes on runtimes.id = others.runtime_id
                 where state = 'ready' and node_id = (select node_id from runtimes where id = pool_members.runtime_id)) > 1
               or not exists (select from runtimes join instances on instances.id = instance_id
                               where claimed_at > now() - ${FAIR} and account_id = ${accountId})
               or not exists (select from accounts where id <> ${accountId}))
        order by ready_at limit 1 for update skip locked)
     returning runtime_id as "runtimeId", epoch::float8 as epoch`,
  );
  if (!claimed) return null;
  const { runtimeId } = claimed;
  // The trigger of this update has the runtime point at the instance.
  const [before] = await query<{ runtimeId: string }>(
    em,
    sql`update instances set runtime_id = ${runtimeId} from instances before
      where instances.id = ${instanceId} and before.id = instances.id returning before.runtime_id as "runtimeId"`,
  );
  await run(em, sql`update runtimes set claimed_at = now() where id = ${runtimeId}`);
  if (before) await run(em, sql`delete from runtimes where id = ${before.runtimeId} and instance_id is null`);
  return claimed;
}
