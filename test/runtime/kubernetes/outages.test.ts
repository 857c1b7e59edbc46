import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { NodeLostError, PlacementError } from '../../../runtime/placement-error.ts';
import { cluster, hasCluster, TEST_MS } from '../../support/kubernetes-under-test.ts';
import { openInstances } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';

jest.setTimeout(TEST_MS);

(hasCluster ? describe : describe.skip)('on a cluster', () => {
  let instances: InstancesUnderTest;
  beforeAll(async () => {
    instances = await openInstances();
  });
  afterAll(() => instances?.close());

  const start = (runtimeId: string) => instances.driver.ensureRunning(instances.spec(runtimeId), instances.call());

  test('while the API server is away gateways go on, and the driver goes on when it is back', async () => {
    const ask = await instances.startAnswering('away');
    await cluster('apiserver', 'stop');
    let stopped: Promise<void>;
    try {
      expect(await ask()).toBe(200);
      await expect(instances.driver.inspect('away')).rejects.toThrow('does not answer');
      // A change waits for it.
      stopped = instances.driver.stop('away', { graceMs: 1_000 }, instances.call());
      expect(await ask()).toBe(200);
    } finally {
      await cluster('apiserver', 'start');
    }
    await stopped;
    expect(await instances.driver.inspect('away')).toMatchObject({ status: 'exited' });
    await instances.driver.destroy('away', instances.call());
  });

  test('a gateway on a node that is lost is not told to have ended before the node says so', async () => {
    const ask = await instances.startAnswering('lost');
    await cluster('crash', '1');
    try {
      await expect(instances.driver.stop('lost', { graceMs: 1_000 }, instances.call())).rejects.toThrow(NodeLostError);
      expect(await ask()).toBe(200);
      expect(await instances.driver.inspect('lost')).toMatchObject({ status: 'running' });
    } finally {
      await cluster('revive', '1');
    }
    await instances.driver.stop('lost', { graceMs: 1_000 }, instances.call());
    expect(await instances.driver.inspect('lost')).toMatchObject({ status: 'exited' });
    await instances.driver.destroy('lost', instances.call());
  });

  test('what the cluster cannot do is told in its words', async () => {
    await start('walls');
    const large = { KUBERNETES_REQUEST_MEMORY_MB: 4_000_000, INSTANCE_MEMORY_MB: 4_000_000 };
    const cases = [
      ['large', large, /No node takes the Pod.*Insufficient memory/s],
      ['image', { INSTANCE_IMAGE: 'thermidora.test/none:1' }, /cannot be pulled/],
      ['claim', { KUBERNETES_STORAGE_CLASS: 'none' }, /No node takes the Pod|claim/],
    ] as const;
    await Promise.all(
      cases.map(async ([runtimeId, changes, words]) => {
        const failure = await instances
          .openDriver(changes)
          .ensureRunning(instances.spec(runtimeId), instances.call())
          .catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(PlacementError);
        expect(String(failure)).toMatch(words);
        await instances.driver.destroy(runtimeId, instances.call());
      }),
    );
  });
});
