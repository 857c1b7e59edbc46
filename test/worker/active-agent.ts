import { expect } from '@jest/globals';
import { addAgent } from '../../api/operations/agents/add-agent.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { query, sql } from '../../database/sql.ts';
import { defaultFiles } from '../../runtime/engine.ts';
import { MODEL } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';

export interface ActiveAgent {
  agentId: string;
  gatewayAgentId: string;
}

/** A new agent as the API makes one, once the gateway has it. */
export async function addActiveAgent(
  reconciler: ReconcilerUnderTest,
  instance: { accountId: string; instanceId: string },
  slug: string,
): Promise<ActiveAgent> {
  const { orm, makeId } = reconciler;
  const deps = { config: { MAX_AGENTS_PER_INSTANCE: 10 }, clock: () => new Date(), makeId };
  const given = { name: slug, slug, displayName: 'Nightingale', metadata: {}, model: MODEL, files: defaultFiles('Nightingale') };
  const { agentId } = await runTransaction(orm.em, (em) => addAgent(em, deps, { ...instance, ...given }));
  await reconciler.reconcile(instance.instanceId);
  const [row] = await query<{ gatewayAgentId: string; status: string }>(
    orm.em.fork(),
    sql`select gateway_agent_id as "gatewayAgentId", status from agents where id = ${agentId}`,
  );
  expect(row?.status).toBe('active');
  return { agentId, gatewayAgentId: row?.gatewayAgentId ?? '' };
}
