import { newAgentWithFiles } from './reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from './reconciler-under-test.ts';

export async function bump(
  { orm }: ReconcilerUnderTest,
  instanceId: string,
  counter: 'restart_generation' | 'content_generation',
) {
  await orm.em.fork().execute(`update instances set ${counter} = ${counter} + 1 where id = ?`, [instanceId], 'run');
}

/** Another agent, as the API makes one. */
export async function changeContent(
  reconciler: ReconcilerUnderTest,
  { instanceId, accountId }: InstanceWithAgent,
): Promise<string> {
  await bump(reconciler, instanceId, 'content_generation');
  const { contentGeneration } = await reconciler.row(instanceId);
  const { agentId } = await newAgentWithFiles(reconciler.orm, {
    ...{ instance: instanceId, account: accountId, generation: contentGeneration },
  });
  return agentId;
}
