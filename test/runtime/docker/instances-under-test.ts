import { z } from 'zod';
import type { MutationCall, RuntimeDriver, RuntimeSpec } from '../../../runtime/driver.ts';
import { deviceOf } from '../../../runtime/openclaw/wire/device-identity.ts';
import { connectGateway } from '../../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { waitUntilReady } from '../../../runtime/openclaw/wire/readiness.ts';
import { renderConfig } from '../../../runtime/openclaw/install/render-config.ts';
import { openDocker, RELAY_HOST } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';
import { startFakeModel } from '../../support/fake-model.ts';
import type { FakeModel } from '../../support/fake-model.ts';

export const START_MS = 180_000;
const completion = z.object({ choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]) });
const TOKEN = 'gateway-token-of-the-instances-under-test';
const AGENT = 'alpha';

/** Real instances in containers, with a fake model in the place of the relay. */
export interface InstancesUnderTest extends DockerUnderTest {
  driver: RuntimeDriver;
  model: FakeModel;
  /** Starts one and waits until it is ready. */
  start(runtimeId: string): Promise<void>;
  /** What its agent answers. */
  ask(runtimeId: string, text: string): Promise<string>;
  /** Throws unless its agent answers. */
  requireAnswer(runtimeId: string): Promise<void>;
  /** What a command prints that the agent runs by its own tool. */
  exec(runtimeId: string, command: string): Promise<string>;
  /** A connection as the control plane has one; the caller closes it. */
  connect(runtimeId: string): Promise<GatewayClient>;
  /** For a change by a newer attempt than all before. */
  call(): MutationCall;
}

export async function openInstances(
  limits: { INSTANCE_PIDS?: number; INSTANCE_DISK_MB?: number } = {},
): Promise<InstancesUnderTest> {
  const model = await startFakeModel({ host: RELAY_HOST });
  const docker = await openDocker({ RELAY_PORT: Number(new URL(model.url).port), ...limits });
  const driver = docker.openDriver();
  let epoch = 0;
  const call = () => ({ epoch: (epoch += 1), signal: AbortSignal.timeout(START_MS) });
  const instances: InstancesUnderTest = {
    ...docker,
    driver,
    model,
    call,
    async start(runtimeId) {
      await driver.ensureRunning(specOf(driver, runtimeId), call());
      const endpoint = await driver.endpoint(runtimeId);
      if (!endpoint) throw new Error(`${runtimeId} ended: ${JSON.stringify(await driver.logs(runtimeId, 20))}`);
      await waitUntilReady(endpoint, {
        signal: AbortSignal.timeout(START_MS),
        deadlineMs: START_MS,
        isAlive: async () => (await driver.inspect(runtimeId)).status === 'running',
        exitOf: () => driver.exitOf(runtimeId),
      });
    },
    async connect(runtimeId) {
      const { wsUrl } = (await driver.endpoint(runtimeId))!;
      const device = deviceOf({ id: 'k1', key: Buffer.alloc(32, 7) }, runtimeId);
      return connectGateway({ wsUrl, token: TOKEN, device, signal: AbortSignal.timeout(START_MS), timeoutMs: 20_000 });
    },
    async ask(runtimeId, text) {
      const endpoint = await driver.endpoint(runtimeId);
      const response = await fetch(`${endpoint?.httpUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: `openclaw/${AGENT}`, messages: [{ role: 'user', content: text }] }),
        signal: AbortSignal.timeout(START_MS),
      });
      const answer: unknown = await response.json();
      return completion.safeParse(answer).data?.choices[0].message.content ?? JSON.stringify(answer);
    },
    async requireAnswer(runtimeId) {
      const answer = await instances.ask(runtimeId, '[[SAY I am here.]]');
      if (answer !== 'I am here.') throw new Error(`The instance ${runtimeId} answers: ${answer}`);
    },
    exec: (runtimeId, command) =>
      // By default it goes on in the background after ten seconds.
      instances.ask(runtimeId, `[[TOOL exec ${JSON.stringify({ command, yieldMs: 120_000 })}]]`),
    async close() {
      await docker.close();
      await model.close();
    },
  };
  return instances;
}

/** A gateway with one agent. */
export function specOf(driver: RuntimeDriver, runtimeId: string): RuntimeSpec {
  const content = {
    gatewayToken: TOKEN,
    relayUrl: driver.relayUrl(),
    paths: driver.paths(runtimeId),
    turnTimeoutSeconds: 600,
    agents: [
      {
        gatewayAgentId: AGENT,
        displayName: AGENT,
        model: { id: 'fake-model', contextWindow: 256_000, maxTokens: 8_192 },
        relayToken: 'relay-token',
      },
    ],
  };
  return { runtimeId, renderConfig: (placement) => renderConfig(content, placement) };
}
