import { query, sql } from '../../database/sql.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { keepPool } from '../../worker/pool/keep-pool.ts';
import type { Pool } from '../../worker/pool/keep-pool.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { expect } from '@jest/globals';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';

interface Options {
  size: number;
  freeBytes?: () => number;
  onStart?: (start: { isClaimed: boolean }) => void;
  /** By default 0. */
  restMs?: number;
  /** Whether its gateways start with a small share of CPU time, as in production; a busy machine takes long for that. */
  givesWay?: boolean;
  /** What it takes the driver for; by default what it is. */
  runtime?: RuntimeDriver['kind'];
}

/** A pool of this size, as a worker of the node of this reconciler keeps it, and from which its instances start. */
export async function keepTestPool(
  { deps, orm }: ReconcilerUnderTest,
  {
    size,
    freeBytes = () => 64 * 1024 ** 3,
    onStart = () => undefined,
    restMs = 0,
    givesWay = false,
    runtime = deps.driver.kind,
  }: Options,
): Promise<Pool> {
  const { nodeId } = deps;
  if (nodeId === null) throw new Error('it is on no node');
  const [worker] = await query<{ id: string }>(
    orm.em.fork(),
    sql`select id from processes where kind = 'worker' and node_id = ${nodeId} order by id limit 1`,
  );
  const pool = keepPool({
    ...deps,
    driver: givesWay ? deps.driver : withoutGivingWay(deps.driver),
    nodeId,
    config: { ...deps.config, POOL_SIZE: size, RUNTIME: runtime, INSTANCE_MEMORY_MB: 1_536 },
    ...{ freeBytes, onStart, restMs },
    processId: () => worker?.id ?? null,
    lookMs: 50,
  });
  deps.pool = pool;
  return pool;
}

function withoutGivingWay(driver: RuntimeDriver): RuntimeDriver {
  return new Proxy(driver, {
    get(target, name) {
      const value: unknown = name === 'giveWay' ? undefined : Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export interface MemberRow {
  runtimeId: string;
  state: string;
}

export async function membersOf({ orm }: ReconcilerUnderTest): Promise<MemberRow[]> {
  return query<MemberRow>(orm.em.fork(), sql`select runtime_id as "runtimeId", state from pool_members order by runtime_id`);
}

/** So many members once all of them are ready. */
export async function readyMembers(reconciler: ReconcilerUnderTest, count: number, withinMs = PATIENCE_MS): Promise<MemberRow[]> {
  return eventually(async () => {
    const found = await membersOf(reconciler);
    expect(found.map(({ state }) => state)).toEqual(Array.from({ length: count }, () => 'ready'));
    return found;
  }, withinMs);
}
