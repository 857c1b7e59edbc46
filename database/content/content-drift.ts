import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { Runtime } from '../entities/runtime.ts';
import { fetchRows } from '../rows.ts';
import { sql } from '../sql.ts';
import { changeLifecycle } from '../instances/lifecycle/change-lifecycle.ts';
import { takesMessages } from '../instances/lifecycle/lifecycle-sql.ts';

export interface SettledInstance {
  instanceId: string;
  runtimeId: string;
  contentGeneration: number;
}

const instance = columns(Instance, 'instances');

/**
 * The gateway of an instance should hold exactly what the database says, because no change is under way. A gateway that refused
 * its configuration is left alone for ten minutes.
 */
export const IS_SETTLED = sql<boolean>`(
  ${takesMessages('instances')} and ${instance.deletedAt} is null
  and ${instance.contentGeneration} = ${instance.appliedContentGeneration} and ${instance.restartGeneration} = ${instance.appliedRestartGeneration}
  and (${instance.reasonCode} is distinct from 'config_refused' or ${instance.reasonAt} < now() - interval '10 minutes'))`;

/** Running instances of this node (null: of none) with no change under way, in random order. */
export async function findSettled(
  em: EntityManager,
  { nodeId, limit }: { nodeId: number | null; limit: number },
): Promise<SettledInstance[]> {
  const runtime = columns(Runtime, 'runtimes');
  return fetchRows(
    em,
    { instanceId: instance.id, runtimeId: instance.runtimeId, contentGeneration: instance.contentGeneration },
    (fields) => sql`
      select ${fields} from instances join runtimes on ${runtime.id} = ${instance.runtimeId}
       where ${IS_SETTLED} and ${runtime.node} is not distinct from ${nodeId} order by random() limit ${limit}`,
  );
}

/**
 * Has the content of this generation applied once more, and says so in the row, in the caller's transaction. False when
 * it has changed since it was looked at.
 */
export async function remedyContent(
  em: EntityManager,
  { instanceId, contentGeneration }: { instanceId: string; contentGeneration: number },
): Promise<boolean> {
  const settled = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('id', '=', instanceId)
    .where(IS_SETTLED)
    .forUpdate()
    .executeTakeFirst();
  if (!settled) return false;
  const changed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'content-drifted' },
    allows: (row) => row.contentGeneration === contentGeneration,
  });
  return changed !== null;
}
