import type { EntityManager } from '@mikro-orm/postgresql';
import type { PoolState } from '../entities/pool-member.ts';
import { query, run, sql } from '../sql.ts';

export interface Member {
  runtimeId: string;
  state: PoolState;
  epoch: number;
  recipe: string;
  createdAtMs: number;
  /** It was ready before: it is only kept warm. */
  wasReady: boolean;
}

/** The pool of this node, the oldest first. */
export async function findMembers(em: EntityManager, nodeId: number): Promise<Member[]> {
  return query<Member>(
    em,
    sql`select runtime_id as "runtimeId", state, epoch::float8 as epoch, recipe, ready_at is not null as "wasReady",
            (extract(epoch from created_at) * 1000)::float8 as "createdAtMs"
       from pool_members join runtimes on runtimes.id = runtime_id where node_id = ${nodeId} order by created_at, runtime_id`,
  );
}

/** Those of these runtimes that are in a pool. */
export async function findPooled(em: EntityManager, runtimeIds: readonly string[]): Promise<string[]> {
  const rows = await query<{ runtimeId: string }>(
    em,
    sql`select runtime_id as "runtimeId" from pool_members
      where runtime_id in (select jsonb_array_elements_text(${JSON.stringify(runtimeIds)}::jsonb))`,
  );
  return rows.map(({ runtimeId }) => runtimeId);
}

interface OfMember {
  runtimeId: string;
  epoch: number;
}

/** An instance may take it from now on. False when it is no longer being warmed, or another attempt has it. */
export async function markReady(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<boolean> {
  const count = await run(
    em,
    sql`update pool_members set state = 'ready', ready_at = coalesce(ready_at, now())
      where runtime_id = ${runtimeId} and epoch = ${epoch} and state = 'warming'`,
  );
  return count > 0;
}

/** No instance may take it until it is ready again. False when one has it. */
export async function takeAside(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<boolean> {
  const count = await run(
    em,
    sql`update pool_members set state = 'warming' where runtime_id = ${runtimeId} and epoch = ${epoch} and state = 'ready'`,
  );
  return count > 0;
}

/** No instance will ever take it. Answers the epoch for its deletion; null when an instance has it or it is gone. */
export async function beginEnding(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<number | null> {
  const [row] = await query<{ epoch: number }>(
    em,
    sql`update pool_members set epoch = case when state = 'ending' then epoch else epoch + 1 end, state = 'ending'
      where runtime_id = ${runtimeId} and epoch = ${epoch} returning epoch::float8 as epoch`,
  );
  return row?.epoch ?? null;
}

/** Nothing of it is left, or it is not the pool's to delete. */
export async function forgetMember(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<void> {
  await run(
    em,
    sql`delete from runtimes where id = ${runtimeId} and instance_id is null
      and exists (select from pool_members where runtime_id = ${runtimeId} and epoch = ${epoch})`,
  );
}
