import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/money/budgets.ts';
import { db } from '../db.ts';
import type { CronResult } from './record-cron-run.ts';

/** How far the clocks of a gateway and of the database may be apart. */
const CLOCKS_DIFFER_MS = 2_000;

type Run = Pick<CronResult, 'instanceId' | 'gatewayJobId' | 'gatewayAgentId' | 'runAt' | 'saidAt'>;

/**
 * The budget that had no room for a model call of this run; null when there is none. A call of a job is known by its agent alone, so
 * it is the last refusal of a call without a turn while the run went on.
 */
export async function findRunRefusal(em: EntityManager, run: Run): Promise<NamedBudget | null> {
  const { instanceId, gatewayJobId, gatewayAgentId, runAt, saidAt } = run;
  const [from, to] = [new Date(runAt.getTime() - CLOCKS_DIFFER_MS), new Date(saidAt.getTime() + CLOCKS_DIFFER_MS)];
  const budget = await db(em)
    .selectFrom('Agent as a')
    .leftJoin('CronJob as j', (j) => j.onRef('j.instance', '=', 'a.instance').on('j.gatewayJobId', '=', gatewayJobId))
    .innerJoin('ModelCall as c', 'c.agent', 'a.id')
    .innerJoin('Budget as b', 'b.id', 'c.refusedBy')
    .select(['b.id as budgetId', 'b.name', 'b.period'])
    .where('c.message', 'is', null)
    .where('c.at', '>=', from)
    .where('c.at', '<=', to)
    .where('a.instance', '=', instanceId)
    .where((eb) => (gatewayAgentId === null ? eb('a.id', '=', eb.ref('j.agent')) : eb('a.gatewayAgentId', '=', gatewayAgentId)))
    .orderBy('c.id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return budget ?? null;
}
