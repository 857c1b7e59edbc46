import { OpenAI } from 'openai';
import type { ClientOptions } from 'openai';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import type { ScriptedControl } from '../../support/scripted-gateway/scripted-control.ts';
import { startAgentOf } from '../gateway-agent.ts';
import type { GatewayAgent } from '../gateway-agent.ts';

export interface OpenaiAgent extends GatewayAgent {
  control: ScriptedControl;
  apiKey: string;
  /** The official client, which repeats nothing unless it is told to. */
  openai: OpenAI;
  clientWith(options: ClientOptions): OpenAI;
  /** Both sides of every turn of the agent, the oldest first. */
  said(): Promise<Said[]>;
  /** What the agent was told with its last message, all of it. */
  lastTold(): Promise<string>;
}

export interface Said {
  sessionId: string;
  role: string;
  content: string;
  context: string | null;
}

/** The API with OpenAI's official client, and an agent in a scripted gateway. */
export async function startOpenaiAgent(env: Record<string, string> = {}): Promise<OpenaiAgent> {
  const { gateway, control } = await startScripted();
  const agent = await startAgentOf(gateway, env);
  const { apiKey } = await agent.account.ok('POST', '/auth/keys', { name: 'openai' });
  const clientWith = (options: ClientOptions) =>
    new OpenAI({ apiKey, baseURL: `${agent.api.url}/openai/v1`, maxRetries: 0, ...options });
  const said = () =>
    agent.api.sql<Said>(
      `select c.session_id as "sessionId", m.role, m.content, m.context from messages m
         join conversations c on c.id = m.conversation_id
        where m.agent_id = ? order by m.created_at, c.id, m.number, m.role desc`,
      [agent.agentId],
    );
  return {
    ...agent,
    ...{ control, apiKey, clientWith, said },
    openai: clientWith({}),
    async lastTold() {
      const last = (await said()).findLast(({ role }) => role === 'user');
      return [last?.context, last?.content].filter((part) => part != null).join('\n\n');
    },
  };
}
