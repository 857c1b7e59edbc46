import type { EntityManager } from '@mikro-orm/postgresql';
import { takesMessages } from '../instances/lifecycle/lifecycle-sql.ts';
import { columns, optionalColumns } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { Node } from '../entities/node.ts';
import { PoolMember } from '../entities/pool-member.ts';
import { Runtime } from '../entities/runtime.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { allOf, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/**
 * `warming` and `ready`: in the pool of its node. `ending`: it leaves the pool and is deleted. `claimed`: an instance has it
 * and starts, restarts or stops. `awake`: it takes messages. `suspended`: it is halted, for a sleeper. `stopped`: nothing runs. `unowned`: neither an instance nor the pool has it.
 */
export const RUNTIME_STATES = ['warming', 'ready', 'ending', 'claimed', 'awake', 'suspended', 'stopped', 'unowned'] as const;
export type RuntimeState = (typeof RUNTIME_STATES)[number];

const RUNTIME = columns(Runtime, 'runtimes');
const INSTANCE = optionalColumns(Instance, 'instances');
const NODE = optionalColumns(Node, 'nodes');
const MEMBER = optionalColumns(PoolMember, 'pool_members');

/** The state of a row of `runtimes`, beside `pool_members` and `instances`. */
const STATE = sql<RuntimeState>`case
  when ${MEMBER.state} is not null then ${MEMBER.state}
  when ${INSTANCE.id} is null or ${INSTANCE.deletedAt} is not null then 'unowned'
  when ${takesMessages('instances')} then 'awake'
  when ${INSTANCE.suspendedAt} is not null and ${INSTANCE.sleepState} = 'asleep' then 'suspended'
  when ${INSTANCE.bootId} is null and (${INSTANCE.status} in ('stopped', 'error') or ${INSTANCE.transitionKind} is null) then 'stopped'
  else 'claimed' end`;

const FROM = sql`runtimes
  left join pool_members on ${MEMBER.runtime} = ${RUNTIME.id}
  left join instances on ${INSTANCE.id} = ${RUNTIME.instance}
  left join nodes on ${NODE.id} = ${RUNTIME.node}`;

const FIELDS = {
  runtimeId: RUNTIME.id,
  instanceId: INSTANCE.id,
  accountId: INSTANCE.account,
  /** The name of its node. */
  node: NODE.name,
  driver: RUNTIME.driver,
  pin: RUNTIME.pin,
  state: STATE,
  createdAt: RUNTIME.createdAt,
  readyAt: MEMBER.readyAt,
  claimedAt: RUNTIME.claimedAt,
};

export type RuntimeRow = RowOf<typeof FIELDS>;

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
    sql`${INSTANCE.deletedAt} is null`,
    ...(state === undefined ? [] : [sql`${STATE} = ${state}`]),
    ...(node === undefined ? [] : [sql`${NODE.name} = ${node}`]),
    ...(after ? [sql`(${RUNTIME.createdAt}, ${RUNTIME.id}) < (${new Date(after[0])}::timestamptz, ${after[1]}::text)`] : []),
  ];
  return fetchRows(
    em,
    FIELDS,
    (fields) => sql`select ${fields} from ${FROM} where ${allOf(filters)}
      order by ${RUNTIME.createdAt} desc, ${RUNTIME.id} desc limit ${limit}`,
  );
}

/** How many runtimes of this node are in each state. */
export async function countRuntimes(em: EntityManager, nodeId: number): Promise<Map<RuntimeState, number>> {
  const rows = await fetchRows(
    em,
    { state: STATE, count: sql<number>`count(*)::float8` },
    (fields) => sql`select ${fields} from ${FROM} where ${RUNTIME.node} = ${nodeId} and ${INSTANCE.deletedAt} is null group by 1`,
  );
  return new Map(rows.map(({ state, count }) => [state, count]));
}
