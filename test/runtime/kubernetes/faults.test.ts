import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { StaleEpochError } from '../../../runtime/driver.ts';
import { checkCluster } from '../../../runtime/kubernetes/check-cluster.ts';
import { clusterOf } from '../../../runtime/kubernetes/open-kubernetes.ts';
import { eventually } from '../../support/eventually.ts';
import { hasCluster, TEST_MS } from '../../support/kubernetes-under-test.ts';
import { cutAfter } from './cut-off.ts';
import { openInstances } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';

jest.setTimeout(TEST_MS);

const held = z.looseObject({
  metadata: z.looseObject({ deletionTimestamp: z.string().optional(), finalizers: z.array(z.string()).default([]) }),
});
/** Each change of a start is one of them. */
const FEWEST_CALLS = 4;

(hasCluster ? describe : describe.skip)('on a cluster', () => {
  let instances: InstancesUnderTest;
  beforeAll(async () => {
    instances = await openInstances();
  });
  afterAll(() => instances?.close());

  const nameOf = (runtimeId: string) => instances.admin.names.of(runtimeId);
  const statusOf = async (runtimeId: string) => (await instances.driver.inspect(runtimeId)).status;
  const becomes = (runtimeId: string, status: string) => eventually(async () => expect(await statusOf(runtimeId)).toBe(status));
  const start = (runtimeId: string) => instances.driver.ensureRunning(instances.spec(runtimeId), instances.call());
  const stop = (runtimeId: string) => instances.driver.stop(runtimeId, { graceMs: 0 }, instances.call());
  const isGone = (kind: 'pods' | 'secrets' | 'persistentvolumeclaims', name: string) =>
    eventually(async () => expect(await instances.find(kind, name)).toBeNull());

  test('what somebody deletes by hand is made again by the next start, and the storage is as it was', async () => {
    await start('hand');
    await instances.runInside('hand', 'echo kept >tmp/kept');
    for (const [kind, name] of [
      ['secrets', nameOf('hand')],
      ['configmaps', nameOf('hand')],
      ['configmaps', `${nameOf('hand')}-start`],
      ['pods', nameOf('hand')],
    ] as const) {
      await instances.remove(kind, name);
      if (kind === 'pods' || name.endsWith('-start')) await becomes('hand', 'exited');
      await start('hand');
      expect([kind, name, await instances.runInside('hand', 'cat tmp/kept')]).toEqual([kind, name, 'kept\n']);
      expect(await instances.find('secrets', nameOf('hand'))).not.toBeNull();
    }
    await instances.driver.destroy('hand', instances.call());
  });

  test('a claim that somebody deletes goes when its gateway has ended, and the next start has a new one', async () => {
    await start('claim');
    await instances.runInside('claim', 'echo old >tmp/old');
    await instances.remove('persistentvolumeclaims', nameOf('claim'));
    expect(await instances.runInside('claim', 'cat tmp/old')).toBe('old\n');
    await stop('claim');
    await start('claim');
    expect(await instances.runInside('claim', 'ls tmp')).toBe('');
    await instances.driver.destroy('claim', instances.call());
  });

  test('a gateway that was ended by hand keeps its exit until the next start, also when a worker that was to let it go has died', async () => {
    await instances.startAnswering('left');
    await instances.remove('pods', nameOf('left'), { gracePeriodSeconds: 60 });
    await becomes('left', 'exited');
    expect(await instances.driver.exitOf('left')).toMatchObject({ code: 0 });
    expect(held.parse(await instances.find('pods', nameOf('left'))).metadata).toMatchObject({
      deletionTimestamp: expect.any(String),
      finalizers: ['thermidora/exit'],
    });
    await start('left');
    await becomes('left', 'running');

    await instances.patch('pods', nameOf('left'), { metadata: { finalizers: null } });
    await instances.remove('pods', nameOf('left'), { gracePeriodSeconds: 1 });
    await isGone('pods', nameOf('left'));
    await becomes('left', 'exited');
    await start('left');
    await instances.driver.destroy('left', instances.call());
    for (const kind of ['pods', 'secrets', 'persistentvolumeclaims'] as const) await isGone(kind, nameOf('left'));
  });

  test('an attempt that was superseded is refused by what it would change, also when the fence is gone', async () => {
    const [old, newer] = [instances.call(), instances.call()];
    await instances.driver.ensureRunning(instances.spec('fence'), newer);
    await instances.remove('configmaps', nameOf('fence'));
    await expect(instances.driver.stop('fence', { graceMs: 0 }, old)).rejects.toThrow(StaleEpochError);
    await instances.remove('configmaps', nameOf('fence'));
    await expect(instances.driver.writeConfig(instances.spec('fence'), old)).rejects.toThrow(StaleEpochError);
    expect(await statusOf('fence')).toBe('running');
    await instances.driver.destroy('fence', instances.call());
  });

  test('a worker that dies between any two calls leaves what the next one brings to the same end', async () => {
    let calls = 0;
    // Before the first change there is nothing to go on with.
    for (let allowed = 1; ; allowed += 1) {
      const server = await cutAfter(instances.settings, allowed);
      const driver = instances.openDriver({ KUBERNETES_CONFIG: server.config });
      const isDone = await driver.ensureRunning(instances.spec('cut'), instances.call()).then(
        () => true,
        () => false,
      );
      await server.close();
      calls = allowed;
      if (isDone) break;
      // Every third time the next attempt is a start, which takes longer than a stop.
      if (allowed % 3 === 0) {
        await start('cut');
        await becomes('cut', 'running');
      }
      await stop('cut');
      await eventually(async () => expect(await statusOf('cut')).not.toBe('running'));
    }
    expect(calls).toBeGreaterThanOrEqual(FEWEST_CALLS);
    await instances.driver.destroy('cut', instances.call());
    for (const kind of ['pods', 'secrets', 'persistentvolumeclaims'] as const) await isGone(kind, nameOf('cut'));
  });

  test('a cluster that takes changes of superseded attempts is told to the operator', async () => {
    const { api, namespace } = instances.admin;
    const worker = clusterOf(instances.settings, 'check');
    expect(await checkCluster(worker)).toEqual([]);
    const mark = (value: string | null) => {
      const body = { metadata: { labels: { 'thermidora/instances': value } } };
      return api.call('PATCH', `/api/v1/namespaces/${namespace}`, { body, type: 'application/merge-patch+json' });
    };
    await mark(null);
    try {
      await eventually(async () => expect(await checkCluster(worker)).toEqual([expect.stringContaining('policy of epochs')]));
    } finally {
      await mark('true');
    }
    await eventually(async () => expect(await checkCluster(worker)).toEqual([]));
  });
});
