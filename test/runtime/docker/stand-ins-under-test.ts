import { z } from 'zod';
import type { MutationCall, RuntimeDriver, RuntimeSpec } from '../../../runtime/driver.ts';
import { renderConfig } from '../../../runtime/openclaw/install/render-config.ts';
import { openDocker, WAIT_MS } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { standInImage } from './stand-in-images.ts';

const worked = z.object({ length: z.literal(1024 ** 2), uid: z.number() });
const ran = z.object({ said: z.string() });
const AGENT = 'alpha';

/** Containers of the real driver with a small program in the gateway's place. */
export interface StandInsUnderTest extends DockerUnderTest {
  driver: RuntimeDriver;
  /** Starts one and waits until it answers. */
  start(runtimeId: string): Promise<void>;
  /** The user that it works as. Throws when it cannot do a little work, and a connection when there is a target. */
  work(runtimeId: string, target?: string): Promise<number>;
  /** All that a script prints which its program runs, however it ends. */
  exec(runtimeId: string, script: string): Promise<string>;
  /** For a change by a newer attempt than all before. */
  call(): MutationCall;
}

export async function openStandIns(settings: Parameters<typeof openDocker>[0] = {}): Promise<StandInsUnderTest> {
  const docker = await openDocker({ ...settings, INSTANCE_IMAGE: await standInImage() });
  const driver = docker.openDriver();
  let epoch = 0;
  const call = (): MutationCall => ({ epoch: (epoch += 1), signal: AbortSignal.timeout(WAIT_MS) });
  async function ask(runtimeId: string, query: string, body?: string): Promise<unknown> {
    const endpoint = await driver.endpoint(runtimeId);
    const method = body === undefined ? 'GET' : 'POST';
    const signal = AbortSignal.timeout(WAIT_MS);
    const response = await fetch(`${endpoint?.httpUrl}/${query}`, { method, body: body ?? null, signal });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${runtimeId} cannot work: ${text}`);
    return JSON.parse(text);
  }
  const work = async (runtimeId: string, target = '') => worked.parse(await ask(runtimeId, `?connect=${target}`)).uid;
  return {
    ...docker,
    driver,
    call,
    work,
    exec: async (runtimeId, script) => ran.parse(await ask(runtimeId, '', script)).said,
    async start(runtimeId) {
      await driver.ensureRunning(specOf(driver, runtimeId), call());
      await eventually(() => work(runtimeId));
    },
  };
}

/** A gateway with one agent. */
export function specOf(driver: RuntimeDriver, runtimeId: string): RuntimeSpec {
  const content = {
    gatewayToken: 'gateway-token-of-the-stand-ins',
    relayUrl: driver.relayUrl(),
    paths: driver.paths(runtimeId),
    turnTimeoutSeconds: 600,
    agents: [
      {
        gatewayAgentId: AGENT,
        model: { id: 'fake-model', contextWindow: 256_000, maxTokens: 8_192 },
        relayToken: 'relay-token',
      },
    ],
  };
  return { runtimeId, renderConfig: (placement) => renderConfig(content, placement) };
}
