import type { EntityManager } from '@mikro-orm/postgresql';
import { takesMessages } from '../instances/lifecycle-sql.ts';
import { allOf, epochMs, query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/**
 * `warming` and `ready`: in the pool of its node. `ending`: it leaves the pool and is deleted. `claimed`: an instance has it
 * and starts, restarts or stops. `awake`: it takes messages. `suspended`: it is halted, for a sleeper. `stopped`: nothing runs. `unowned`: neither an instance nor the pool has it.
 */
export const RUNTIME_STATES = ['warming', 'ready', 'ending', 'claimed', 'awake', 'suspended', 'stopped', 'unowned'] as const;
export type RuntimeState = (typeof RUNTIME_STATES)[number];

export interface RuntimeRow {
  runtimeId: string;
  instanceId: string | null;
  accountId: string | null;
  /** The name of its node. */
  node: string | null;
  driver: string | null;
  pin: string | null;
  state: RuntimeState;
  createdAt: Date;
  readyAt: Date | null;
  claimedAt: Date | null;
}

/** The state of a row of `runtimes`, beside `pool_members` and `instances`. */
const STATE = sql`case
  when pool_members.state is not null then pool_members.state
  when instances.id is null or instances.deleted_at is not null then 'unowned'
  when ${takesMessages('instances')} then 'awake'
  when instances.suspended_at is not null and instances.sleep_state = 'asleep' then 'suspended'
  when instances.boot_id is null and (instances.status in ('stopped', 'error') or instances.transition_kind is null) then 'stopped'
  else 'claimed' end`;

const FROM = sql`runtimes
  left join pool_members on pool_members.runtime_id = runtimes.id
  left join instances on instances.id = runtimes.instance_id
  left join nodes on nodes.id = runtimes.node_id`;

interface ListOptions {
  state?: RuntimeState | undefined;
  /** The name of a node. */
  node?: string | undefined;
  /** The last one of the page before: when it was made, and its id. */
  after?: readonly [number, string] | undefined;
  limit: number;
}

/** The runtimes of all nodes, newest first, without those of deleted instances. */
export async function listRuntimes(em: EntityManager, { state, node, after, limit }: ListOptions): Promise<RuntimeRow[]> {
  const filters: Sql[] = [
    sql`instances.deleted_at is null`,
    ...(state === undefined ? [] : [sql`${STATE} = ${state}`]),
    ...(node === undefined ? [] : [sql`nodes.name = ${node}`]),
    ...(after ? [sql`(runtimes.created_at, runtimes.id) < (${new Date(after[0])}::timestamptz, ${after[1]}::text)`] : []),
  ];
  const rows = await query<Omit<RuntimeRow, 'createdAt' | 'readyAt' | 'claimedAt'> & Times>(
    em,
    sql`select runtimes.id as "runtimeId", instances.id as "instanceId", instances.account_id as "accountId", nodes.name as node,
            driver, pin, ${STATE} as state, ${epochMs(sql`runtimes.created_at`)} as "createdMs",
            ${epochMs(sql`pool_members.ready_at`)} as "readyMs", ${epochMs(sql`claimed_at`)} as "claimedMs"
       from ${FROM} where ${allOf(filters)} order by runtimes.created_at desc, runtimes.id desc limit ${limit}`,
  );
  return rows.map(({ createdMs, readyMs, claimedMs, ...row }) => ({
    ...row,
    createdAt: new Date(createdMs),
    readyAt: readyMs === null ? null : new Date(readyMs),
    claimedAt: claimedMs === null ? null : new Date(claimedMs),
  }));
}

interface Times {
  createdMs: number;
  readyMs: number | null;
  claimedMs: number | null;
}

/** How many runtimes of this node are in each state. */
export async function countRuntimes(em: EntityManager, nodeId: number): Promise<Map<RuntimeState, number>> {
  const rows = await query<{ state: RuntimeState; count: number }>(
    em,
    sql`select ${STATE} as state, count(*)::float8 as count from ${FROM}
      where runtimes.node_id = ${nodeId} and instances.deleted_at is null group by 1`,
  );
  return new Map(rows.map(({ state, count }) => [state, count]));
}
