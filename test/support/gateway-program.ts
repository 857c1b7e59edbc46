import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import type { Endpoint, MutationCall, RuntimeDriver, RuntimeSpec, SkillFile } from '../../runtime/driver.ts';
import { removeCron } from '../../runtime/openclaw/content/crons.ts';
import { waitForAgents } from '../../runtime/openclaw/content/agent-liveness.ts';
import { connectGateway } from '../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { waitUntilReady } from '../../runtime/openclaw/wire/readiness.ts';
import { renderConfig } from '../../runtime/openclaw/install/render-config.ts';
import { gatewayToken } from '../../runtime/openclaw/install/tokens.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { killPid } from '../../runtime/host/process-identity.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { listCrons } from './cron-lists.ts';
import { eventually, PATIENCE_MS } from './eventually.ts';
import { startFakeModel } from './fake-model.ts';
import type { FakeModel } from './fake-model.ts';
import { removeFolder } from './remove-folder.ts';
import { runFolder } from './run-folder.ts';

/** Makes the token of the gateway under test. */
export const GATEWAY_MASTER_KEY = { id: 'test', key: Buffer.alloc(32, 7) };
export const GATEWAY_RUNTIME_ID = 'under_test';
export const GATEWAY_TOKEN = gatewayToken(GATEWAY_MASTER_KEY, GATEWAY_RUNTIME_ID);
/** The agent of a gateway under test. Its conversations are of this test file alone, whoever had the gateway before. */
export const AGENT = `alpha-${randomBytes(4).toString('hex')}`;

/** One gateway as a process of this machine, with the fake model as its only provider. */
export interface GatewayUnderTest {
  model: FakeModel;
  driver: RuntimeDriver;
  runtimeId: string;
  token: string;
  /** Of the running gateway. */
  endpoint(): Promise<Endpoint>;
  /** A connection of its own; closed with the gateway under test at the latest. */
  connect(): Promise<GatewayClient>;
  /** Makes these its agents, while it runs too. */
  setAgents(gatewayAgentIds: readonly string[]): Promise<void>;
  /** Makes these the skills of its agents, while it runs too. */
  setSkills(skills: Skills): Promise<void>;
  /** Starts it and waits until it is ready. It runs already after startGateway. */
  start(): Promise<void>;
  /** SIGTERM, and SIGKILL after graceMs. Returns when it is gone. */
  stop(graceMs: number): Promise<void>;
  /** SIGKILL. Returns when it is gone, and at once when it is gone already. */
  kill(): Promise<void>;
  /** Of the gateway itself, for a test that must kill it at one instant. */
  pid(): Promise<number>;
  /** Ends what the test file had of it, and the gateway with all that it stored unless another file can go on with it. */
  close(): Promise<void>;
}

export interface Skills {
  bundled: readonly string[];
  /** By whole paths such as `weather/SKILL.md`. */
  custom: ReadonlyMap<string, SkillFile>;
}

/** Where a gateway lives. */
export interface GatewayPlace {
  /** What Node runs. */
  entry: string;
  dataDir: string;
  /** Called with a gateway that runs and has nothing to do, instead of ending it. */
  lend?(): Promise<void>;
}

/** Starts this program as a gateway with these agents, ready, in a directory of its own. */
export async function startGatewayProgram(entry: string, gatewayAgentIds: readonly string[]): Promise<GatewayUnderTest> {
  return openGateway({ entry, dataDir: await runFolder('gateway') }, gatewayAgentIds);
}

/** The gateway of this place with these agents, ready; started unless it runs. */
export async function openGateway(place: GatewayPlace, gatewayAgentIds: readonly string[]): Promise<GatewayUnderTest> {
  const { entry, dataDir } = place;
  const model = await startFakeModel();
  const program = { node: process.execPath, entry, compileCacheDir: join(cacheDirOf(process.env), 'compile-cache') };
  const driver = new ProcessDriver({ dataDir, relayUrl: model.url, program });
  const epoch = await driver.fenceOf(GATEWAY_RUNTIME_ID);
  const gateway = gatewayOf({ driver, place, model, agents: gatewayAgentIds, epoch });
  const ranBefore = (await driver.inspect(GATEWAY_RUNTIME_ID)).status === 'running';
  try {
    await gateway.start();
    const options = { signal: AbortSignal.timeout(PATIENCE_MS), deadlineMs: PATIENCE_MS };
    const agents = { present: gatewayAgentIds, absent: [] };
    if (ranBefore) await waitForAgents(await gateway.endpoint(), GATEWAY_TOKEN, agents, options);
  } catch (error) {
    await gateway.close();
    throw error;
  }
  return gateway;
}

interface Content {
  agents: readonly string[];
  bundled: readonly string[];
}

interface Parts {
  driver: ProcessDriver;
  place: GatewayPlace;
  model: FakeModel;
  agents: readonly string[];
  /** The last one of those who had it before. */
  epoch: number;
}

function gatewayOf({ driver, place, model, agents, ...before }: Parts): GatewayUnderTest {
  const { dataDir, lend } = place;
  const runtimeId = GATEWAY_RUNTIME_ID;
  const clients: GatewayClient[] = [];
  const never = new AbortController().signal;
  let { epoch } = before;
  const content: Content = { agents, bundled: [] };
  const spec = (): RuntimeSpec => specOf(driver, runtimeId, content);
  const call = (): MutationCall => ({ epoch: (epoch += 1), signal: AbortSignal.timeout(PATIENCE_MS) });
  const endpoint = async (): Promise<Endpoint> => {
    const found = await driver.endpoint(runtimeId);
    if (!found) throw new Error('The gateway under test does not run');
    return found;
  };
  const pid = async (): Promise<number> => {
    const record = await readRecord(layoutOf(dataDir, runtimeId));
    if (!record) throw new Error('The gateway under test was never started');
    return record.pid;
  };

  async function connect(): Promise<GatewayClient> {
    const { wsUrl } = await endpoint();
    const client = await connectGateway({ wsUrl, token: GATEWAY_TOKEN, signal: never, timeoutMs: PATIENCE_MS });
    clients.push(client);
    return client;
  }

  async function removeCrons(client: GatewayClient): Promise<void> {
    for (const { id, isInternal } of await listCrons(client)) if (!isInternal) await removeCron(client, id);
  }

  /** Whether another file can go on with it: it runs, and holds neither jobs nor skills nor turns that have not ended. */
  async function isTidy(): Promise<boolean> {
    if (!lend || model.calls.some(({ finished, aborted }) => !finished && !aborted)) return false;
    try {
      await removeCrons(await connect());
      await driver.replaceSkills(runtimeId, new Map(), call());
      return true;
    } catch {
      return false;
    }
  }

  return {
    model,
    driver,
    runtimeId,
    token: GATEWAY_TOKEN,
    endpoint,
    connect,
    async setAgents(gatewayAgentIds) {
      content.agents = gatewayAgentIds;
      await driver.writeConfig(spec(), call());
    },
    async setSkills({ bundled, custom }) {
      content.bundled = bundled;
      await driver.replaceSkills(runtimeId, custom, call());
      await driver.writeConfig(spec(), call());
    },
    async start() {
      await driver.ensureRunning(spec(), call());
      await waitUntilReady(await endpoint(), {
        signal: AbortSignal.timeout(PATIENCE_MS),
        deadlineMs: PATIENCE_MS,
        isAlive: async () => (await driver.inspect(runtimeId)).status === 'running',
        exitOf: () => driver.exitOf(runtimeId),
      });
    },
    stop: (graceMs) => driver.stop(runtimeId, { graceMs }, call()),
    pid,
    async kill() {
      killPid(await pid(), 'SIGKILL');
      await eventually(async () => {
        if ((await driver.inspect(runtimeId)).status === 'running') throw new Error('It still runs after SIGKILL');
      });
    },
    async close() {
      const goesOn = await isTidy();
      for (const client of clients) client.close();
      if (!goesOn) await driver.destroy(runtimeId, call());
      await model.close();
      if (goesOn) await lend?.();
      else await removeFolder(dataDir);
    },
  };
}

function specOf(driver: RuntimeDriver, runtimeId: string, { agents, bundled }: Content): RuntimeSpec {
  const content = {
    gatewayToken: GATEWAY_TOKEN,
    relayUrl: driver.relayUrl(),
    paths: driver.paths(runtimeId),
    turnTimeoutSeconds: 600,
    skills: { bundled, env: {} },
    agents: agents.map((gatewayAgentId) => ({
      gatewayAgentId,
      model: { id: 'fake-model', contextWindow: 256_000, maxTokens: 8_192 },
      relayToken: `relay-token-of-${gatewayAgentId}`,
    })),
  };
  return { runtimeId, renderConfig: (placement) => renderConfig(content, placement) };
}
