import type { Agent, Instance, Thermidora } from '../src/index.ts';
import { EXIT, UserError } from './io.ts';

const MOST_LOOKED_AT = 1_000;

/** The id of an instance that is given by its id or its name. Throws UserError when none or several have the name. */
export async function instanceIdOf(client: Thermidora, given: string): Promise<string> {
  if (given.startsWith('inst_')) return given;
  const found: Instance[] = [];
  let count = 0;
  for await (const instance of client.instances.list({ limit: 200 })) {
    if (instance.name === given) found.push(instance);
    if ((count += 1) === MOST_LOOKED_AT) break;
  }
  return onlyOne(found, ({ instanceId }) => instanceId, `instance named ${given}`);
}

/** The id of an agent that is given by its id or its slug. Throws UserError when there is none. */
export async function agentIdOf(client: Thermidora, instanceId: string, given: string): Promise<string> {
  if (given.startsWith('agt_')) return given;
  const found: Agent[] = [];
  for await (const agent of client.agents.list(instanceId, { limit: 200 })) if (agent.slug === given) found.push(agent);
  return onlyOne(found, ({ agentId }) => agentId, `agent with the slug ${given}`);
}

function onlyOne<T>(found: readonly T[], idOf: (one: T) => string, what: string): string {
  const [one, ...others] = found;
  if (one === undefined) throw new UserError(`There is no ${what}.`, EXIT.notFound);
  if (others.length > 0) throw new UserError(`There is more than one ${what}. Give one of the ids: ${found.map(idOf).join(' ')}`);
  return idOf(one);
}
