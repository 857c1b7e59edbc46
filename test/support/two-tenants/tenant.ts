import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { z } from 'zod';
import { layoutOf } from '../../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../api-client.ts';
import { PATIENCE_MS } from '../eventually.ts';
import { newAgent } from '../patient-client.ts';
import type { StackUnderTest } from '../stack-under-test.ts';

/** A customer with one running instance and one agent in it, and where its gateway lies. */
export interface Tenant {
  account: ApiClient;
  /** What its calls are made with: for another thread, which makes a client of its own. */
  place: TenantPlace;
  /** Has its instances stopped, by the operator: it may have used up its own calls. */
  leave(): Promise<void>;
}

/** All that a thread needs to call as this customer, and as its gateway. */
export interface TenantPlace {
  url: string;
  apiKey: string;
  instanceId: string;
  agentId: string;
  relayUrl: string;
  relayToken: string;
  model: string;
  outputFile: string;
  stateDir: string;
}

const providers = z.record(
  z.string(),
  z.looseObject({ baseUrl: z.string(), apiKey: z.string(), models: z.array(z.looseObject({ id: z.string() })) }),
);
const configuration = z.looseObject({ models: z.looseObject({ providers }) });

/** A new account whose instance runs. */
export async function newTenant(stack: StackUnderTest): Promise<Tenant> {
  const account = await stack.newAccount('1000');
  const { instanceId } = await account.ok('POST', '/instances', { name: 'tenant' });
  const { agentId } = await newAgent(account, instanceId);
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'thread' });
  const { outputFile, stateDir, configFile } = layoutOf(stack.dataDir, await runtimeOf(stack, instanceId));
  const [provider] = Object.values(configuration.parse(JSON.parse(await readFile(configFile, 'utf8'))).models.providers);
  const [model] = provider?.models ?? [];
  if (!provider || !model) throw new Error('the gateway knows no model');
  return {
    account,
    place: {
      ...{ url: stack.url, apiKey: String(apiKey), instanceId: String(instanceId), agentId },
      ...{ relayUrl: provider.baseUrl, relayToken: provider.apiKey, model: model.id, outputFile, stateDir },
    },
    async leave() {
      const { instances } = await stack.operator.ok('GET', '/admin/instances?limit=200');
      for (const { accountId, instanceId: id } of instances)
        if (accountId === account.accountId) await stack.operator.ok('POST', `/admin/instances/${id}/stop`);
    },
  };
}

async function runtimeOf({ databaseUrl }: StackUnderTest, instanceId: string): Promise<string> {
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  const { rows } = await database.query<{ id: string }>('select runtime_id as id from instances where id = $1', [instanceId]);
  await database.end();
  return z.string().parse(rows[0]?.id);
}

/** What came of one call of somebody who goes on working. */
export interface Use {
  kind: 'read' | 'message';
  status: number | null;
  ms: number;
}

const READ_PAUSE_MS = 100;
const READS_PER_MESSAGE = 8;

/** Reads and sends messages one after the other for so long, and says what came of each. */
export async function useAs({ account, place }: Tenant, forMs: number): Promise<Use[]> {
  const instance = `/instances/${place.instanceId}`;
  const messages = `${instance}/agents/${place.agentId}/messages`;
  const reads = [instance, '/auth/me', '/events?limit=20', `${messages}?limit=20`];
  const uses: Use[] = [];
  const observe = async (kind: Use['kind'], method: string, path: string, body?: object): Promise<void> => {
    const startedAt = performance.now();
    const status = await account.call(method, path, body, { signal: AbortSignal.timeout(2 * PATIENCE_MS) }).then(
      (answer) => answer.status,
      () => null,
    );
    uses.push({ kind, status, ms: performance.now() - startedAt });
  };
  const until = performance.now() + forMs;
  for (let round = 0; performance.now() < until; round += 1) {
    if (round % READS_PER_MESSAGE === 0)
      await observe('message', 'POST', messages, { message: `Hello ${round}`, timeoutMs: PATIENCE_MS });
    await observe('read', 'GET', reads[round % reads.length] ?? instance);
    await sleep(READ_PAUSE_MS);
  }
  return uses;
}
