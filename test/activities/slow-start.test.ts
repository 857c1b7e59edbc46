import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { GatewayConnectError } from '../../runtime/openclaw/gateway-errors.ts';
import { GATEWAY_MS, startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler();
}, GATEWAY_MS);
afterAll(() => reconciler?.close(), GATEWAY_MS);

test(
  'on a starved machine a start goes on with the gateway that did not let us in, and counts no death',
  async () => {
    const { deps, driver, machine } = reconciler;
    const { instanceId, runtimeId } = await reconciler.newInstance();
    const letIn = deps.connections.get;
    const spawnedAt = new Set<number | undefined>();
    let refusals = 0;
    deps.connections.get = async (...of) => {
      spawnedAt.add((await driver.inspect(runtimeId)).startedAt?.getTime());
      refusals += 1;
      if (refusals > 2) return letIn(...of);
      throw new GatewayConnectError('The gateway did not let us in within 10000 ms', { retryable: true });
    };
    machine.isStarved = true;
    await reconciler.power(instanceId, 'start');
    await reconciler.reconcile(instanceId);
    expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'running', transition: null, reason: null, deaths: 0 });
    expect(refusals).toBeGreaterThan(2);
    expect(spawnedAt.size).toBe(1);
  },
  GATEWAY_MS,
);
