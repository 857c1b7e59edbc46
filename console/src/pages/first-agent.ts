import { client } from '../client/client.ts';

/** Creates an instance with an agent in it and answers the path of its chat. A second try after a failure goes on. */
export async function createFirstAgent(): Promise<string> {
  const [known] = await Array.fromAsync(client.instances.list());
  const { instanceId } = known ?? (await client.instances.create({ name: 'first' }));
  const agent = { name: 'helper', slug: 'helper', displayName: 'Helper' };
  const { agentId } = await client.agents.create(instanceId, agent);
  return `/instances/${instanceId}/agents/${agentId}`;
}
