import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { verifyBilling } from '../../database/billing/verify-billing.ts';
import { namesOf } from '../../runtime/docker/names.ts';
import type { Names } from '../../runtime/docker/names.ts';
import type { ApiClient } from '../support/api-client.ts';
import { docker, hasOwnEngine, ownEngine, remnants } from '../support/docker-under-test.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

interface Interval {
  startedMs: number;
  endedMs: number | null;
}

(hasOwnEngine ? describe : describe.skip)('instances in containers, with all the rest running', () => {
  let stack: StackUnderTest;
  let orm: MikroORM;
  let names: Names;
  let account: ApiClient & { accountId: string };
  let instanceId: string;
  let container: string;
  let path: string;

  beforeAll(async () => {
    stack = await startStack({ env: { RUNTIME: 'docker', INSTANCE_DISK_MB: '256' } });
    orm = await createOrm(stack.databaseUrl);
    names = namesOf(stack.dataDir);
    account = await stack.newAccount();
    ({ instanceId } = await account.ok('POST', '/instances', { name: 'contained' }));
    const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, {
      name: 'a',
      slug: 'agent',
      displayName: 'A',
    });
    path = `/instances/${instanceId}/agents/${agentId}/messages`;
    await answers('It begins.');
    const [row] = await orm.em
      .fork()
      .execute<{ id: string }[]>('select runtime_id as id from instances where id = ?', [instanceId]);
    container = names.of(row?.id ?? '');
  });

  afterAll(async () => {
    await ownEngine('start');
    await orm?.close();
    await stack?.close();
  });

  async function answers(text: string): Promise<void> {
    await eventually(async () => {
      expect(await account.ok('POST', path, { message: `[[SAY ${text}]]` })).toMatchObject({ content: text });
    }, TEST_LIMIT_MS);
  }

  const intervals = (): Promise<Interval[]> =>
    orm.em.fork().execute<Interval[]>(
      `select (extract(epoch from started_at) * 1000)::float8 as "startedMs", (extract(epoch from ended_at) * 1000)::float8 as "endedMs"
         from runtime_intervals where instance_id = ? order by started_at`,
      [instanceId],
    );

  test('a message to an instance whose engine and worker were killed is answered, once, when they are back, and its bill goes on', async () => {
    const before = await docker('inspect', '--format', '{{.Id}} {{.State.StartedAt}}', container);
    await Promise.all([ownEngine('crash'), stack.kill('worker')]);
    const answer = account.ok('POST', path, { message: '[[SAY Still here.]]' });
    await ownEngine('start');
    await stack.start('worker');

    expect(await answer).toMatchObject({ content: 'Still here.' });
    expect(stack.model.calls.filter(({ lastUserText }) => lastUserText.includes('Still here.'))).toHaveLength(1);
    expect(await docker('inspect', '--format', '{{.Id}} {{.State.StartedAt}}', container)).toBe(before);
    expect(await intervals()).toMatchObject([{ endedMs: null }]);
  });

  test('a container that is removed by hand is paid for until then, and there is another one, which knows what was said', async () => {
    await docker('rm', '--force', container);
    await answers('Back again.');

    const [first, second] = await intervals();
    expect(first?.endedMs).toEqual(expect.any(Number));
    expect(second).toMatchObject({ endedMs: null });
    expect(second?.startedMs).toBeGreaterThan(first?.endedMs ?? Number.POSITIVE_INFINITY);
    const { messages } = await account.ok('GET', path);
    expect(messages.map(({ content }: { content: string }) => content)).toEqual(
      expect.arrayContaining(['It begins.', 'Still here.', 'Back again.']),
    );
  });

  test('its network is removed by hand while the worker is killed: both come back', async () => {
    await stack.kill('worker');
    await docker('network', 'disconnect', '--force', container, container);
    await docker('network', 'rm', container);
    await stack.start('worker');
    await answers('On a new network.');
    expect(await remnants(names)).toEqual([container, container]);
  });

  test('a stop while the engine is away waits for it; a start on a full disk says so; a delete leaves nothing but a bill that is right', async () => {
    const fill = () => docker('exec', container, 'sh', '-c', 'cat /dev/zero >> flood || true');
    await fill();
    await account.ok('POST', `/instances/${instanceId}/stop?wait=60`);
    // What is kept for clearing up lets it start once more.
    await account.ok('POST', `/instances/${instanceId}/start`);
    await eventually(async () => {
      expect(await account.ok('GET', `/instances/${instanceId}/wait?status=running`)).toMatchObject({ status: 'running' });
    });
    await fill();
    await ownEngine('crash');
    await account.ok('POST', `/instances/${instanceId}/stop`);
    await ownEngine('start');
    await eventually(async () => {
      expect(await account.ok('GET', `/instances/${instanceId}/wait?status=stopped`)).toMatchObject({ status: 'stopped' });
    });
    expect((await intervals()).filter(({ endedMs }) => endedMs === null)).toEqual([]);

    await account.ok('POST', `/instances/${instanceId}/start`);
    await eventually(async () => {
      const reason = expect.objectContaining({ code: 'disk_full', retryable: false });
      expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status: 'error', statusReason: reason });
    });

    await account.ok('DELETE', `/instances/${instanceId}`);
    await eventually(async () => expect(await remnants(names)).toEqual([]), TEST_LIMIT_MS);
    expect((await verifyBilling(orm.em.fork())).problems).toEqual([]);
  });
});
