import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { verifyBilling } from '../../database/billing/verify-billing.ts';
import { imageName } from '../../runtime/docker/image.ts';
import { namesOf } from '../../runtime/docker/names.ts';
import type { Names } from '../../runtime/docker/names.ts';
import { setAgentFile } from '../../runtime/openclaw/content/agent-files.ts';
import { gatewayToken } from '../../runtime/openclaw/install/tokens.ts';
import { deviceOf } from '../../runtime/openclaw/wire/device-identity.ts';
import { connectGateway } from '../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { scriptedImage } from '../runtime/docker/stand-in-images.ts';
import type { ApiClient } from '../support/api-client.ts';
import { docker, hasOwnEngine, ownEngine, remnants, TEST_MS, WAIT_MS } from '../support/docker-under-test.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

/** What the workers start instances from: which image it is, a test can change. */
const IMAGE = `thermidora-under-test:${randomBytes(4).toString('hex')}`;
const MEBIBYTE = 1024 ** 2;

interface Interval {
  startedMs: number;
  endedMs: number | null;
}

interface Contained {
  instanceId: string;
  runtimeId: string;
  gatewayAgentId: string;
  container: string;
  /** Of its messages. */
  path: string;
}

jest.setTimeout(TEST_MS);

(hasOwnEngine ? describe : describe.skip)('instances in containers, with all the rest running', () => {
  let stack: StackUnderTest;
  let orm: MikroORM;
  let names: Names;
  let account: ApiClient & { accountId: string };

  beforeAll(async () => {
    await docker('tag', await imageName(), IMAGE);
    stack = await startStack({ env: { RUNTIME: 'docker', INSTANCE_DISK_MB: '256', INSTANCE_IMAGE: IMAGE } });
    orm = await createOrm(stack.databaseUrl);
    names = namesOf(stack.dataDir);
    account = await stack.newAccount();
  });

  afterAll(async () => {
    await ownEngine('start');
    await orm?.close();
    await stack?.close();
    await docker('rmi', '--no-prune', IMAGE);
  });

  /** An instance whose agent has answered. */
  async function newInstance(): Promise<Contained> {
    const { instanceId } = await account.ok('POST', '/instances', { name: 'contained' });
    const agent = { name: 'a', slug: 'agent', displayName: 'A' };
    const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
    const path = `/instances/${instanceId}/agents/${agentId}/messages`;
    await answers({ path }, 'It begins.');
    const [row] = await orm.em.fork().execute<{ runtimeId: string; gatewayAgentId: string }[]>(
      `select runtime_id as "runtimeId", gateway_agent_id as "gatewayAgentId"
         from instances join agents on agents.instance_id = instances.id where instances.id = ?`,
      [instanceId],
    );
    if (!row) throw new Error(`${instanceId} has no agent`);
    return { ...row, instanceId, container: names.of(row.runtimeId), path };
  }

  async function answers({ path }: { path: string }, text: string): Promise<void> {
    await eventually(async () => {
      expect(await account.ok('POST', path, { message: `[[SAY ${text}]]` })).toMatchObject({ content: text });
    }, 2 * WAIT_MS);
  }

  const becomes = ({ instanceId }: Contained, status: string) =>
    eventually(async () => {
      expect(await account.ok('GET', `/instances/${instanceId}/wait?status=${status}`)).toMatchObject({ status });
    }, 2 * WAIT_MS);

  const fill = ({ container }: Contained) => docker('exec', container, 'sh', '-c', 'cat /dev/zero >> flood || true');

  const intervals = ({ instanceId }: Contained): Promise<Interval[]> =>
    orm.em.fork().execute<Interval[]>(
      `select (extract(epoch from started_at) * 1000)::float8 as "startedMs", (extract(epoch from ended_at) * 1000)::float8 as "endedMs"
         from runtime_intervals where instance_id = ? order by started_at`,
      [instanceId],
    );

  describe('of OpenClaw', () => {
    let instance: Contained;

    beforeAll(async () => {
      instance = await newInstance();
    });

    test('what an agent runs by its own tool runs in its container, as its user and without a capability', async () => {
      const command = 'hostname; id -u; grep CapBnd /proc/self/status; touch /etc/x; touch x && echo stored';
      const message = `[[TOOL exec ${JSON.stringify({ command, yieldMs: 120_000 })}]]`;
      const { content } = await account.ok('POST', instance.path, { message, timeoutMs: PATIENCE_MS });
      expect(content).toContain(instance.container);
      expect(content).toMatch(/^19000\d{5}$/m);
      expect(content).toMatch(/^CapBnd:\s+0000000000000000$/m);
      expect(content).toContain('Read-only file system');
      expect(content).toMatch(/^stored$/m);
    });

    test('a message to an instance whose engine and worker were killed is answered, once, when they are back, and its bill goes on', async () => {
      const { container, path } = instance;
      const before = await docker('inspect', '--format', '{{.Id}} {{.State.StartedAt}}', container);
      await Promise.all([ownEngine('crash'), stack.kill('worker')]);
      const answer = account.ok('POST', path, { message: '[[SAY Still here.]]', timeoutMs: PATIENCE_MS });
      await ownEngine('start');
      await stack.start('worker');

      expect(await answer).toMatchObject({ content: 'Still here.' });
      expect(stack.model.answered('Still here.')).toBe(1);
      expect(await docker('inspect', '--format', '{{.Id}} {{.State.StartedAt}}', container)).toBe(before);
      expect(await intervals(instance)).toMatchObject([{ endedMs: null }]);
    });

    test('a file that its disk has no room for is refused in a way that is not tried again', async () => {
      const { gatewayAgentId: agentId } = instance;
      const client = await connect(instance);
      await fill(instance);
      const prompt = { agentId, name: 'AGENTS.md', content: 'x'.repeat(MEBIBYTE) } as const;
      // See activities/content/push-content.ts.
      await expect(setAgentFile(client, prompt)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
      client.close();
    });

    test('a stop while the engine is away waits for it; a start on a full disk says so', async () => {
      const { instanceId } = instance;
      await fill(instance);
      await account.ok('POST', `/instances/${instanceId}/stop?wait=60`);
      // What is kept for clearing up lets it start once more.
      await account.ok('POST', `/instances/${instanceId}/start`);
      await becomes(instance, 'running');
      await fill(instance);
      await ownEngine('crash');
      await account.ok('POST', `/instances/${instanceId}/stop`);
      await ownEngine('start');
      await becomes(instance, 'stopped');
      expect((await intervals(instance)).filter(({ endedMs }) => endedMs === null)).toEqual([]);

      await account.ok('POST', `/instances/${instanceId}/start`);
      await eventually(async () => {
        const reason = expect.objectContaining({ code: 'disk_full', retryable: false });
        expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status: 'error', statusReason: reason });
      }, 2 * WAIT_MS);
    });

    test('a delete leaves nothing but a bill that is right', async () => {
      await account.ok('DELETE', `/instances/${instance.instanceId}`);
      await eventually(async () => expect(await remnants(names)).toEqual([]), 2 * WAIT_MS);
      expect((await verifyBilling(orm.em.fork())).problems).toEqual([]);
    });
  });

  describe('of a gateway that starts at once', () => {
    let instance: Contained;

    beforeAll(async () => {
      await docker('tag', await scriptedImage(), IMAGE);
      instance = await newInstance();
    });

    test('a container that is removed by hand is paid for until then, and there is another one', async () => {
      await docker('rm', '--force', instance.container);
      await answers(instance, 'Back again.');

      const [first, second] = await intervals(instance);
      expect(first?.endedMs).toEqual(expect.any(Number));
      expect(second).toMatchObject({ endedMs: null });
      expect(second?.startedMs).toBeGreaterThan(first?.endedMs ?? Number.POSITIVE_INFINITY);
      const { messages } = await account.ok('GET', instance.path);
      expect(messages.map(({ content }: { content: string }) => content)).toEqual(
        expect.arrayContaining(['It begins.', 'Back again.']),
      );
    });

    test('its network is removed by hand while the worker is killed: both come back', async () => {
      const { container } = instance;
      await stack.kill('worker');
      await docker('network', 'disconnect', '--force', container, container);
      await docker('network', 'rm', container);
      await stack.start('worker');
      await answers(instance, 'On a new network.');
      expect(await remnants(names)).toEqual([container, container]);
      expect((await verifyBilling(orm.em.fork())).problems).toEqual([]);
    });
  });

  /** As the control plane has it. */
  async function connect({ runtimeId }: Contained): Promise<GatewayClient> {
    const endpoint = await stack.driver.endpoint(runtimeId);
    if (!endpoint) throw new Error(`${runtimeId} does not run`);
    const token = gatewayToken(stack.masterKey, runtimeId);
    const device = deviceOf(stack.masterKey, runtimeId);
    const signal = AbortSignal.timeout(WAIT_MS);
    return connectGateway({ wsUrl: endpoint.wsUrl, token, device, signal, timeoutMs: WAIT_MS });
  }
});
