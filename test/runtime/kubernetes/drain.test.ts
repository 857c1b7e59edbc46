import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { asAdmin, cluster, hasCluster, MACHINE, openKubernetes, TEST_MS } from '../../support/kubernetes-under-test.ts';
import type { KubernetesUnderTest } from '../../support/kubernetes-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { openClaw } from '../../support/open-claw.ts';
import { startProduct } from '../../workflows/product-under-test.ts';
import type { ProductUnderTest } from '../../workflows/product-under-test.ts';
import { startReconciler } from '../../workflows/reconciler-under-test.ts';

jest.setTimeout(TEST_MS);

const STORAGE_CLASS = 'test-any-node';
const podOnNode = z.looseObject({ metadata: z.looseObject({ uid: z.string() }), spec: z.looseObject({ nodeName: z.string() }) });

// By command alone: it adds a second node to the cluster, for which this machine has to store the image of instances once more.
(hasCluster ? describe : describe.skip)('a cluster of two nodes', () => {
  let kubernetes: KubernetesUnderTest;
  let product: ProductUnderTest;
  let disk: string;

  beforeAll(async () => {
    await cluster('start', '2');
    kubernetes = await openKubernetes({ KUBERNETES_STORAGE_CLASS: STORAGE_CLASS });
    disk = await mkdtemp(join(tmpdir(), 'any-node-'));
    await admin().api.call('POST', '/api/v1/persistentvolumes', { body: volume(disk) });
    const openDriver = (modelUrl: string) => kubernetes.openDriver({ RELAY_PORT: Number(new URL(modelUrl).port) });
    const reconciler = () => startReconciler({ program: openClaw, modelHost: MACHINE, openDriver });
    product = await startProduct({ reconciler });
  });
  afterAll(async () => {
    if (!disk) return;
    for (const node of ['node1', 'node2']) await cordon(node, false);
    await product?.close();
    await kubernetes?.close();
    await admin().api.call('DELETE', `/api/v1/persistentvolumes/${STORAGE_CLASS}`, { body: {} });
    await rm(disk, { recursive: true, force: true });
  });

  const admin = () => asAdmin(kubernetes.admin.namespace, disk);

  /** Stands for a network disk: both nodes are of this machine, so each of them reaches the folder. */
  const volume = (path: string): object => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: STORAGE_CLASS },
    spec: {
      capacity: { storage: '512Mi' },
      accessModes: ['ReadWriteOncePod'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: STORAGE_CLASS,
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node1', 'node2'] }] },
          ],
        },
      },
    },
  });

  async function cordon(node: string, isCordoned: boolean): Promise<void> {
    const body = { spec: { unschedulable: isCordoned } };
    await admin().api.call('PATCH', `/api/v1/nodes/${node}`, { body, type: 'application/merge-patch+json' });
  }

  /** What `kubectl drain` does with one Pod. */
  async function drain(node: string, pod: string): Promise<void> {
    const { api, namespace } = admin();
    await cordon(node, true);
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace } };
    await api.call('POST', `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`, { body });
  }

  test('a drained node has its instance start on the other one with its storage, which is no death', async () => {
    const instance = await product.newInstance();
    expect(await instance.end(await instance.say('My number is 4711.'))).toMatchObject({ status: 'completed' });
    const name = kubernetes.admin.names.of(instance.runtimeId);
    const before = podOnNode.parse(await kubernetes.find('pods', name));
    const bootId = await instance.bootId();

    await drain(before.spec.nodeName, name);
    await eventually(async () =>
      expect(podOnNode.parse(await kubernetes.find('pods', name)).metadata.uid).not.toBe(before.metadata.uid),
    );
    // It is accepted as soon as the gateway is there.
    await eventually(async () => {
      const now = await instance.bootId();
      if (now === null || now === bootId) throw new Error('the next gateway takes no messages yet');
    });
    expect(await instance.end(await instance.say('And now?'))).toMatchObject({
      status: 'completed',
      content: 'You said: And now?',
    });

    const after = podOnNode.parse(await kubernetes.find('pods', name));
    expect([before.spec.nodeName, after.spec.nodeName].toSorted()).toEqual(['node1', 'node2']);
    expect(JSON.stringify(product.reconciler.model.calls.at(-1)?.messages)).toContain('My number is 4711.');
    expect(await product.reconciler.statusOf(instance.instanceId)).toMatchObject({ status: 'running', deaths: 0 });
    expect((await product.reconciler.row(instance.instanceId)).failedStarts).toEqual([]);
  });
});
