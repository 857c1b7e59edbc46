import Anthropic from '@anthropic-ai/sdk';
import type { ClientOptions } from '@anthropic-ai/sdk';
import { AGENT } from '../../support/gateway-program.ts';
import type { GatewayUnderTest } from '../../support/gateway-program.ts';
import { startAgentOf } from '../gateway-agent.ts';
import type { GatewayAgent } from '../gateway-agent.ts';

export type SessionEvent = Anthropic.Beta.Sessions.BetaManagedAgentsStreamSessionEvents;

export interface AnthropicDoor extends GatewayAgent {
  apiKey: string;
  baseURL: string;
  /** The official client, which repeats nothing unless it is told to. */
  anthropic: Anthropic;
  clientWith(options: ClientOptions): Anthropic;
  /** The environment that the running instance is. */
  environmentId: string;
  /** Opens a session with a new agent, which its gateway has at once. */
  openSession(agent?: Partial<Anthropic.Beta.AgentCreateParams>): Promise<string>;
  /** Does what the worker does: gives the agent of this session to the gateway. */
  activate(sessionId: string): Promise<void>;
}

/** The API with Anthropic's official client, and an instance whose one agent at a time lives in this gateway. */
export async function startAnthropicDoor(gateway: GatewayUnderTest, env: Record<string, string> = {}): Promise<AnthropicDoor> {
  const agent = await startAgentOf(gateway, env);
  const { api, instanceId, account } = agent;
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'anthropic' });
  const baseURL = `${api.url}/anthropic`;
  const clientWith = (options: ClientOptions) => new Anthropic({ apiKey, baseURL, maxRetries: 0, ...options });
  const anthropic = clientWith({});
  const environmentId = instanceId.replace('inst_', 'env_');
  const activate = async (sessionId: string): Promise<void> => {
    await api.sql('update agents set gateway_agent_id = id where gateway_agent_id = ? returning id', [AGENT]);
    await api.sql(
      `update agents set gateway_agent_id = ?, status = 'active' where id = (select agent_id from claude_sessions where id = ?) returning id`,
      [AGENT, sessionId],
    );
  };
  return {
    ...agent,
    ...{ apiKey, baseURL, anthropic, clientWith, environmentId, activate },
    async openSession(given = {}) {
      const { id } = await anthropic.beta.agents.create({ name: 'Helper', model: 'claude-opus-5-5', ...given });
      const session = await anthropic.beta.sessions.create({ agent: id, environment_id: environmentId });
      await activate(session.id);
      return session.id;
    },
  };
}

/** Reads events until the agent is idle. */
export async function untilIdle(stream: AsyncIterable<SessionEvent>): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  for await (const event of stream) {
    events.push(event);
    if (event.type === 'session.status_idle') break;
  }
  return events;
}

/** The event by which a text is sent. */
export const said = (text: string) => ({ type: 'user.message' as const, content: [{ type: 'text' as const, text }] });
