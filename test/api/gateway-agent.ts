import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { AGENT, GATEWAY_MASTER_KEY } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import { startApi } from './api-under-test.ts';
import type { AccountClient, ApiUnderTest } from './api-under-test.ts';
import { makeRunning, newAgent, newInstance } from './rows.ts';

/** The API, and an account whose one agent lives in a gateway that runs. */
export interface GatewayAgent {
  api: ApiUnderTest;
  gateway: GatewayUnderTest;
  /** A connection of the test's own. */
  client: GatewayClient;
  account: AccountClient;
  instanceId: string;
  agentId: string;
  /** Of the agent. */
  path: string;
  /** Closes the gateway too. */
  close(): Promise<void>;
}

/** Starts the API with this gateway. */
export async function startAgentOf(gateway: GatewayUnderTest, env: Record<string, string> = {}): Promise<GatewayAgent> {
  const masterKeys = `${GATEWAY_MASTER_KEY.id}:${GATEWAY_MASTER_KEY.key.toString('base64')}`;
  const api = await startApi({ driver: gateway.driver, env: { MASTER_KEYS: masterKeys, ...env } });
  const account = await api.newAccount();
  const instanceId = await newInstance(account);
  const agentId = await newAgent(account, instanceId);
  await api.sql('update instances set runtime_id = ? where id = ? returning id', [gateway.runtimeId, instanceId]);
  await api.sql('update agents set gateway_agent_id = ? where id = ? returning id', [AGENT, agentId]);
  const client = await gateway.connect();
  await makeRunning(api, instanceId, client.bootId);
  return {
    ...{ api, gateway, client, account, instanceId, agentId },
    path: `/instances/${instanceId}/agents/${agentId}`,
    async close() {
      await api.close();
      await gateway.close();
    },
  };
}
