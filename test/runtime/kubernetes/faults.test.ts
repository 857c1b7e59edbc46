import { createServer, request as plainRequest } from 'node:http';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { StaleEpochError } from '../../../runtime/driver.ts';
import { checkCluster } from '../../../runtime/kubernetes/check-cluster.ts';
import { clusterOf } from '../../../runtime/kubernetes/open-kubernetes.ts';
import { NodeLostError, PlacementError } from '../../../runtime/placement-error.ts';
import { eventually } from '../../support/eventually.ts';
import { cluster, hasCluster, TEST_MS } from '../../support/kubernetes-under-test.ts';
import { openInstances } from './instances-under-test.ts';
import type { InstancesUnderTest } from './instances-under-test.ts';

jest.setTimeout(TEST_MS);

const kubeconfig = z.looseObject({
  clusters: z.tuple([z.looseObject({ cluster: z.looseObject({ server: z.string(), 'certificate-authority': z.string() }) })]),
});

(hasCluster ? describe : describe.skip)('on a cluster', () => {
  let instances: InstancesUnderTest;
  beforeAll(async () => {
    instances = await openInstances();
  });
  afterAll(() => instances.close());

  const nameOf = (runtimeId: string) => instances.admin.names.of(runtimeId);
  const statusOf = async (runtimeId: string) => (await instances.openDriver().inspect(runtimeId)).status;
  const becomes = (runtimeId: string, status: string) => eventually(async () => expect(await statusOf(runtimeId)).toBe(status));
  const start = (runtimeId: string) => instances.driver.ensureRunning(instances.spec(runtimeId), instances.call());

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
    }
    await instances.driver.destroy('hand', instances.call());
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
      const server = await cutAfter(instances, allowed);
      const driver = instances.openDriver({ KUBERNETES_CONFIG: server.config });
      const done = await driver.ensureRunning(instances.spec('cut'), instances.call()).then(
        () => true,
        () => false,
      );
      server.close();
      calls = allowed;
      if (done) break;
      // Every third time the next attempt is a start, which takes longer than a stop.
      if (allowed % 3 === 0) {
        await start('cut');
        await becomes('cut', 'running');
      }
      await instances.driver.stop('cut', { graceMs: 0 }, instances.call());
      await eventually(async () => expect(await statusOf('cut')).not.toBe('running'));
    }
    expect(calls).toBeGreaterThan(5);
    await instances.driver.destroy('cut', instances.call());
    for (const kind of ['pods', 'secrets', 'persistentvolumeclaims'] as const)
      await eventually(async () => expect(await instances.find(kind, nameOf('cut'))).toBeNull());
  });

  test('while the API server is away gateways go on, and the driver goes on when it is back', async () => {
    await start('away');
    const { httpUrl } = (await instances.driver.endpoint('away'))!;
    await eventually(() => statusAt(`${httpUrl}/healthz`));
    await cluster('apiserver', 'stop');
    try {
      expect(await statusAt(`${httpUrl}/healthz`)).toBeLessThan(500);
      await expect(instances.driver.inspect('away')).rejects.toThrow('does not answer');
    } finally {
      await cluster('apiserver', 'start');
    }
    await eventually(async () => expect(await instances.driver.inspect('away')).toMatchObject({ status: 'running' }));
    await instances.driver.destroy('away', instances.call());
  });

  test('a gateway on a node that is lost is not told to have ended before the node says so', async () => {
    await start('lost');
    const { httpUrl } = (await instances.driver.endpoint('lost'))!;
    await eventually(() => statusAt(`${httpUrl}/healthz`));
    await cluster('crash', '1');
    try {
      await expect(instances.driver.stop('lost', { graceMs: 1_000 }, instances.call())).rejects.toThrow(NodeLostError);
      expect(await statusAt(`${httpUrl}/healthz`)).toBeLessThan(500);
      expect(await statusOf('lost')).toBe('running');
    } finally {
      await cluster('revive', '1');
    }
    await instances.driver.stop('lost', { graceMs: 1_000 }, instances.call());
    expect(await instances.driver.inspect('lost')).toMatchObject({ status: 'exited' });
    await instances.driver.destroy('lost', instances.call());
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

  test('what the cluster cannot do is told in its words', async () => {
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

async function statusAt(url: string): Promise<number> {
  const call = plainRequest(url).end();
  const [response] = await once(call, 'response', { signal: AbortSignal.timeout(5_000) });
  response.resume();
  return response.statusCode;
}

/** A way to the API server that lets so many changes through and breaks off at the next one. */
async function cutAfter({ settings }: InstancesUnderTest, allowed: number): Promise<{ config: string; close(): void }> {
  const text = await readFile(settings.KUBERNETES_CONFIG ?? '', 'utf8');
  const config = kubeconfig.parse(parse(text));
  const [{ cluster: target }] = config.clusters;
  const ca = await readFile(target['certificate-authority']);
  let left = allowed;
  const server = createServer((incoming, outgoing) => {
    if (incoming.method !== 'GET' && (left -= 1) < 0) return incoming.socket.destroy();
    const { method = '', headers, url = '' } = incoming;
    const onward = request(`${target.server}${url}`, { method, headers, ca }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const file = join(settings.DATA_DIR, `cut-${allowed}`);
  const changed = { ...config, clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${port}` } }] };
  await writeFile(file, JSON.stringify(changed));
  return {
    config: file,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
