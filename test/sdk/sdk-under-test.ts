import { startApi } from '../api/api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api/api-under-test.ts';
import { makeRunning, newAgent, newInstance } from '../api/rows.ts';
import { AGENT, GATEWAY_MASTER_KEY } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import type { ScriptedControl } from '../support/scripted-gateway/scripted-control.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { startFaultyProxy } from './faulty-proxy.ts';
import type { FaultyProxy } from './faulty-proxy.ts';

/** The real API behind a proxy that fails when it is told to, and an account whose one agent a scripted gateway plays. */
export interface SdkUnderTest {
  api: ApiUnderTest;
  proxy: FaultyProxy;
  gateway: GatewayUnderTest;
  control: ScriptedControl;
  account: AccountClient;
  apiKey: string;
  /** Of the API, behind the proxy, with /v1. */
  baseUrl: string;
  instanceId: string;
  agentId: string;
  close(): Promise<void>;
}

/** Starts all of it. */
export async function startSdk(): Promise<SdkUnderTest> {
  const { gateway, control } = await startScripted();
  const masterKeys = `${GATEWAY_MASTER_KEY.id}:${GATEWAY_MASTER_KEY.key.toString('base64')}`;
  const api = await startApi({ driver: gateway.driver, env: { MASTER_KEYS: masterKeys } });
  const proxy = await startFaultyProxy(api.url);
  const account = await api.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'sdk' });
  const instanceId = await newInstance(account);
  const agentId = await newAgent(account, instanceId);
  await api.sql('update instances set runtime_id = ? where id = ? returning id', [gateway.runtimeId, instanceId]);
  await api.sql('update agents set gateway_agent_id = ? where id = ? returning id', [AGENT, agentId]);
  await makeRunning(api, instanceId, (await gateway.connect()).bootId);
  return {
    ...{ api, proxy, gateway, control, account, apiKey, baseUrl: `${proxy.url}/v1`, instanceId, agentId },
    async close() {
      await proxy.close();
      await api.close();
      await gateway.close();
    },
  };
}
