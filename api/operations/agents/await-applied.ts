import type { EntityManager } from '@mikro-orm/postgresql';
import type { Deps } from '../../deps.ts';
import { waitForInstance } from '../../../database/instances/wait-for-instance.ts';
import { query, sql } from '../../../database/sql.ts';

/** How long a change may take to reach the running gateway before its call answers anyway. */
const PATIENCE_MS = 10_000;

export interface ContentChange {
  instanceId: string;
  generation: number;
}

interface Row {
  isRunning: boolean;
  isApplied: boolean;
}

/** Waits until the gateway has this change, the instance does not run (then the next start applies it), or ten seconds are over. */
export async function awaitApplied(deps: Deps, { instanceId, generation }: ContentChange, signal: AbortSignal): Promise<void> {
  await waitForInstance(deps.notifications, { instanceId, timeoutMs: PATIENCE_MS, signal }, async () => {
    const row = await look(deps.orm.em.fork(), instanceId, generation);
    return !row || !row.isRunning || row.isApplied ? true : undefined;
  });
}

async function look(em: EntityManager, instanceId: string, generation: number): Promise<Row | undefined> {
  const [row] = await query<Row>(
    em,
    sql`select status = 'running' and desired_status = 'running' as "isRunning", applied_content_generation >= ${generation} as "isApplied"
       from instances where id = ${instanceId}`,
  );
  return row;
}
