import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { gatewayToken, renderConfig, waitUntilReady } from '../../runtime/engine.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { makeId } from '../factories.ts';

const KEY = { id: 'bench', key: randomBytes(32) };
const AGENT = 'alpha';
const WAIT_MS = 300_000;

/**
 * From the creation of a Pod with a gateway, by the driver and without any control plane, to its first answer, in milliseconds.
 * The model is what the driver names as the relay.
 */
export async function barePodStart(driver: RuntimeDriver): Promise<number> {
  const runtimeId = makeId('run');
  const signal = AbortSignal.timeout(WAIT_MS);
  const content = {
    gatewayToken: gatewayToken(KEY, runtimeId),
    relayUrl: driver.relayUrl(),
    paths: driver.paths(runtimeId),
    turnTimeoutSeconds: 600,
    skills: { bundled: [], env: {} },
    agents: [
      { gatewayAgentId: AGENT, model: { id: 'fake-model', contextWindow: 256_000, maxTokens: 8_192 }, relayToken: 'bench' },
    ],
  };
  const log = pino({ level: 'silent' });
  const connections = createGatewayConnections({ endpoints: driver, masterKeys: [KEY], log });
  const startedAt = performance.now();
  try {
    const renders = {
      runtimeId,
      renderConfig: (placement: Parameters<typeof renderConfig>[1]) => renderConfig(content, placement),
    };
    await driver.ensureRunning(renders, { epoch: 1, signal });
    const endpoint = await driver.endpoint(runtimeId);
    if (!endpoint) throw new Error('The bare Pod has ended');
    const isAlive = async (): Promise<boolean> => (await driver.inspect(runtimeId)).status === 'running';
    await waitUntilReady(endpoint, { signal, deadlineMs: WAIT_MS, isAlive, exitOf: () => driver.exitOf(runtimeId) });
    const gateway = await connections.get(runtimeId, signal);
    const { promise, resolve } = Promise.withResolvers<{ kind: string }>();
    const place = { gatewayAgentId: AGENT, conversationId: 'bench', messageId: makeId('msg'), attempt: 1 };
    const turn = { ...place, text: 'hello', saidAtMs: Date.now(), traceId: 'b'.repeat(32) };
    const sent = await gateway.turns.send(turn, { timeoutSeconds: WAIT_MS / 1_000, signal, onResult: resolve });
    const { kind } = sent.kind === 'accepted' ? await promise : sent;
    if (kind !== 'done') throw new Error(`The bare Pod did not take the turn: ${kind}`);
    return performance.now() - startedAt;
  } finally {
    connections.closeAll();
    await driver.destroy(runtimeId, { epoch: 2, signal: AbortSignal.timeout(WAIT_MS) });
  }
}
