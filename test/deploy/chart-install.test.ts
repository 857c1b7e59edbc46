import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { METADATA_ONLY } from '../../runtime/kubernetes/api.ts';
import type { ApiClient } from '../support/api-client.ts';
import { prepareChart } from '../support/chart-under-test.ts';
import type { ChartUnderTest } from '../support/chart-under-test.ts';
import { eventually } from '../support/eventually.ts';
import { hasCluster, TEST_MS, WAIT_MS } from '../support/kubernetes-under-test.ts';
import { registerAccount } from '../support/register-account.ts';

/** Images may have to be built first. */
jest.setTimeout(2 * TEST_MS);

const names = z.looseObject({ items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })).nullable() });

/** One deployment, in order: each case goes on where the one before ended. */
(hasCluster ? describe : describe.skip)('the chart on a cluster', () => {
  let chart: ChartUnderTest;
  let account: ApiClient;
  let instanceId: string;
  let agent: string;

  beforeAll(async () => {
    chart = await prepareChart(['one', 'two']);
  });
  afterAll(() => chart?.close());

  const say = async (message: string): Promise<string> => (await account.ok('POST', `${agent}/messages`, { message })).content;
  const isRunning = () =>
    eventually(async () => {
      const shown = await account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
      expect(shown).toMatchObject({ status: 'running' });
    }, WAIT_MS);
  const startedAt = async (): Promise<string> => (await account.ok('GET', `/instances/${instanceId}`)).startedAt;

  test('one command installs it, and a conversation goes through Pods alone', async () => {
    await chart.deploy();
    account = await registerAccount(chart.url, chart.operator);
    ({ instanceId } = await account.ok('POST', '/instances', { name: 'in a cluster' }));
    await isRunning();
    const helper = { name: 'helper', slug: 'helper', displayName: 'Helper' };
    const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, helper);
    agent = `/instances/${instanceId}/agents/${agentId}`;
    expect(await say('Good morning!')).toContain('Good morning!');
    const pods = names.parse(
      await chart.gateways.api.call('GET', `/api/v1/namespaces/${chart.gateways.namespace}/pods`, { accept: METADATA_ONLY }),
    );
    expect(pods.items?.map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining([expect.stringMatching(/^oc-/)]));
  });

  test('logs and files are read of a worker in another Pod', async () => {
    const { lines } = await account.ok('GET', `/instances/${instanceId}/logs`);
    expect(lines.length).toBeGreaterThan(0);
    const { files } = await account.ok('GET', `${agent}/files`);
    expect(files.map(({ path }: { path: string }) => path)).toContain('AGENTS.md');
  });

  test('an upgrade replaces the parts while the gateway goes on', async () => {
    const before = await startedAt();
    await chart.deploy({ image: { tag: 'two', pullPolicy: 'Never' }, worker: { replicas: 1, before: 'one' } });
    expect(await say('Still there?')).toContain('Still there?');
    expect(await startedAt()).toBe(before);
  });

  test('an instance that is deleted leaves nothing but the object with its highest epoch', async () => {
    await account.ok('DELETE', `/instances/${instanceId}`);
    const { api, namespace } = chart.gateways;
    for (const kind of ['pods', 'secrets', 'persistentvolumeclaims'])
      await eventually(async () => {
        const left = names.parse(await api.call('GET', `/api/v1/namespaces/${namespace}/${kind}`, { accept: METADATA_ONLY }));
        expect([kind, left.items ?? []]).toEqual([kind, []]);
      }, WAIT_MS);
  });
});
