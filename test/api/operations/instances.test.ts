import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { applyContent, makeRunning, newAgent, newInstance } from '../rows.ts';

/** Between two statements the clock of a machine may be set back so far. */
const CLOCK_MS = 1_000;

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '50' } });
  account = await api.newAccount();
});

afterAll(() => api.close());

const get = (instanceId: string) => account.ok('GET', `/instances/${instanceId}`);

/** The workflow that has to be woken for this instance, once per call so far. */
async function wakeUps(instanceId: string): Promise<number> {
  return (await api.sql('select id from outbox where subject_id = ?', [instanceId])).length;
}

async function makeStopped(instanceId: string): Promise<void> {
  await api.sql(
    `update instances set status = 'stopped', transition_kind = null, boot_id = null, stopped_at = now() where id = ? returning id`,
    [instanceId],
  );
}

async function makeFailed(instanceId: string): Promise<void> {
  await api.sql(
    `update instances set status = 'error', transition_kind = null, error_generation = power_generation, reason_code = 'start_failed',
            reason_message = 'It did not start.', reason_at = now(), reason_retryable = true where id = ? returning id`,
    [instanceId],
  );
}

describe('instances.create', () => {
  test('answers at once with an instance that is being provisioned, and wakes the reconciler', async () => {
    const { status, body, headers } = await account.call('POST', '/instances', { name: ' my-agents ' });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`/v1/instances/${body.instanceId}`);
    expect(body).toEqual({
      instanceId: expect.stringMatching(/^inst_[a-z0-9]{12,}$/),
      name: 'my-agents',
      status: 'provisioning',
      desiredStatus: 'running',
      transition: { kind: 'starting', startedAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/), attempt: 0, step: null },
      statusReason: null,
      agents: [],
      metadata: {},
      sleep: null,
      createdAt: expect.any(String),
      startedAt: null,
      stoppedAt: null,
      totalRuntimeMs: 0,
      billedMs: 0,
    });
    expect(await wakeUps(body.instanceId)).toBe(1);
    expect(await get(body.instanceId)).toEqual(body);
    const [audit] = await api.sql('select actor, action, target from audit_entries where instance_id = ?', [body.instanceId]);
    expect(audit).toEqual({ actor: `account:${account.accountId}`, action: 'instances.create', target: body.instanceId });
  });

  test('takes names of 1 to 64 characters, also twice', async () => {
    for (const name of ['', '  ', 'x'.repeat(65)]) expect((await account.call('POST', '/instances', { name })).status).toBe(400);
    for (const name of ['x'.repeat(64), 'x'.repeat(64)])
      expect((await account.call('POST', '/instances', { name })).status).toBe(201);
  });

  test('is 402 without balance', async () => {
    const poor = await api.newAccount({ creditUsd: '0' });
    const { status, body } = await poor.call('POST', '/instances', { name: 'x' });
    expect([status, body.error.code]).toEqual([402, 'payment_required']);
  });

  test('waits until the instance runs, when asked to', async () => {
    const waiting = account.call('POST', '/instances?wait=60', { name: 'awaited' });
    const { instances } = await until(async () => {
      const list = await account.ok('GET', '/instances?limit=1');
      return list.instances[0]?.name === 'awaited' ? list : null;
    });
    await makeRunning(api, instances[0].instanceId);
    expect(await waiting).toMatchObject({ status: 201, body: { status: 'running', transition: null } });
  });
});

/** Polls for what a call in flight has stored. */
function until<T>(look: () => Promise<T | null>): Promise<T> {
  return eventually(async () => {
    const found = await look();
    if (found === null) throw new Error('It is not stored yet');
    return found;
  });
}

describe('the number of instances', () => {
  test('is never exceeded, however many calls come at once; what is being destroyed counts', async () => {
    const small = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '3' } });
    try {
      const owner = await small.newAccount();
      const answers = await Promise.all(Array.from({ length: 8 }, () => owner.call('POST', '/instances', { name: 'x' })));
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 201, 201, 409, 409, 409, 409, 409]);
      const created = answers.find(({ status }) => status === 201)?.body.instanceId;
      await owner.ok('DELETE', `/instances/${created}`);
      expect((await owner.call('POST', '/instances', { name: 'x' })).status).toBe(409);
      await small.sql('update instances set deleted_at = now() where id = ? returning id', [created]);
      expect((await owner.call('POST', '/instances', { name: 'x' })).status).toBe(201);
    } finally {
      await small.close();
    }
  });
});

describe('instances.list', () => {
  test("lists the account's own, the newest first, page by page", async () => {
    const owner = await api.newAccount();
    const ids = [];
    for (const name of ['a', 'b', 'c']) {
      ids.unshift(await newInstance(owner, name));
      api.advance(10);
    }
    const first = await owner.ok('GET', '/instances?limit=2');
    const second = await owner.ok('GET', `/instances?limit=2&cursor=${first.nextCursor}`);
    const listed = [...first.instances, ...second.instances];
    expect(listed.map(({ instanceId }) => instanceId)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
    expect(listed[0]).toEqual(await owner.ok('GET', `/instances/${ids[0]}`));
  });
});

describe('instances.get', () => {
  test('lists the agents and their status', async () => {
    const instanceId = await newInstance(account);
    const agentId = await newAgent(account, instanceId);
    expect((await get(instanceId)).agents).toEqual([{ agentId, slug: 'support-bot', status: 'pending' }]);
    await applyContent(api, instanceId);
    expect((await get(instanceId)).agents).toEqual([{ agentId, slug: 'support-bot', status: 'active' }]);
  });

  test('says that its gateway is slow once it has not answered for longer than one that hangs is left, until it answers', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    const hasBeenSilent = (seconds: number | null) =>
      api.sql(
        `update runtime_intervals set lost_at = date_trunc('milliseconds', now()) - make_interval(secs => ?) where instance_id = ?
         returning id`,
        [seconds, instanceId],
      );
    const watchedUntil = (when: string) =>
      api.sql(
        `update watch_shards set owner = 'proc_x', expires_at = now() + ?::interval
          where shard = (select shard from instances where id = ?) returning shard`,
        [when, instanceId],
      );
    const noted = async (): Promise<unknown> => (await get(instanceId)).statusReason?.code ?? null;
    await api.sql(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at)
       values (?, ?, ?, 'boot', now() - interval '1 hour') returning id`,
      [`int_slow_${instanceId}`, instanceId, account.accountId],
    );
    await watchedUntil('1 hour');
    await hasBeenSilent(30);
    expect(await get(instanceId)).toMatchObject({ status: 'running', statusReason: null });
    await hasBeenSilent(50);
    const { status, statusReason } = await get(instanceId);
    expect({ status, statusReason }).toMatchObject({
      status: 'running',
      statusReason: { code: 'gateway_slow', retryable: true },
    });
    await api.sql(
      `update instances set reason_code = 'file_refused', reason_message = '', reason_at = now() where id = ? returning id`,
      [instanceId],
    );
    expect(await noted()).toBe('gateway_slow');
    await watchedUntil('-1 second');
    expect(await noted()).toBe('file_refused');
    await watchedUntil('1 hour');
    await hasBeenSilent(null);
    expect(await noted()).toBe('file_refused');
  });

  test('adds up all intervals, the open one included, and never bills more', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    const insert = (id: string, from: string, to: string | null) =>
      api.sql(
        `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at, ended_at)
         values (?, ?, ?, 'boot', now() - ?::interval, now() - ?::interval) returning id`,
        [`int_${id}_${instanceId}`, instanceId, account.accountId, from, to],
      );
    await insert('closed', '3 hours', '2 hours');
    const closed = await get(instanceId);
    expect([closed.totalRuntimeMs, closed.billedMs]).toEqual([3_600_000, 3_600_000]);
    await insert('open', '10 minutes', null);
    const open = await get(instanceId);
    expect(open.totalRuntimeMs).toBeGreaterThan(3_600_000 + 600_000 - CLOCK_MS);
    expect(open.billedMs).toBeLessThanOrEqual(open.totalRuntimeMs);
    expect(new Date(open.startedAt).getTime()).toBeGreaterThan(new Date(closed.startedAt).getTime());
  });

  test('bills an open interval up to the last proof that the gateway ran, so that it never falls', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    await api.sql(
      `update watch_shards set alive_until = now() - interval '1 minute'
        where shard = (select shard from instances where id = ?) returning shard`,
      [instanceId],
    );
    await api.sql(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at)
       select ?, i.id, ?, 'boot', date_trunc('milliseconds', shard.alive_until) - interval '2 minutes'
         from instances i join watch_shards shard on shard.shard = i.shard where i.id = ? returning id`,
      [`int_proof_${instanceId}`, account.accountId, instanceId],
    );
    const { totalRuntimeMs, billedMs } = await get(instanceId);
    expect(totalRuntimeMs).toBeGreaterThan(180_000 - CLOCK_MS);
    expect(billedMs).toBe(120_000);
    // It died right after its last proof.
    await api.sql(
      `update runtime_intervals set ended_at = started_at + interval '2 minutes 1 second' where instance_id = ? returning id`,
      [instanceId],
    );
    expect((await get(instanceId)).billedMs).toBeGreaterThanOrEqual(billedMs);
  });

  test('says when nobody watches the gateway, so that its status is only the last known one', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    const ofShard = 'shard = (select shard from instances where id = ?)';
    // Another test may have leased the shard that this instance was given by chance.
    await api.sql(`update watch_shards set owner = null, expires_at = null where ${ofShard} returning shard`, [instanceId]);
    expect(await get(instanceId)).toMatchObject({ status: 'running', statusStale: true });
    await api.sql(
      `update watch_shards set owner = 'proc_x', expires_at = now() + interval '1 hour' where ${ofShard} returning shard`,
      [instanceId],
    );
    expect((await get(instanceId)).statusStale).toBeUndefined();
    await api.sql(`update watch_shards set expires_at = now() - interval '1 second' where ${ofShard} returning shard`, [
      instanceId,
    ]);
    expect((await get(instanceId)).statusStale).toBe(true);
  });
});

describe('instances.stop', () => {
  test('answers the accepted target, ends the meter, and GET goes on showing the truth', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    await api.sql(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at) values (?, ?, ?, 'boot', now()) returning id`,
      [`int_stop_${instanceId}`, instanceId, account.accountId],
    );
    expect(await account.ok('POST', `/instances/${instanceId}/stop`)).toEqual({ instanceId, status: 'stopped' });
    expect(await get(instanceId)).toMatchObject({
      status: 'running',
      desiredStatus: 'stopped',
      transition: { kind: 'stopping' },
    });
    expect(await api.sql('select id from runtime_intervals where instance_id = ? and ended_at is null', [instanceId])).toEqual(
      [],
    );
    expect(await wakeUps(instanceId)).toBe(2);
  });

  test('has no effect on what is stopped already', async () => {
    const instanceId = await newInstance(account);
    await account.ok('POST', `/instances/${instanceId}/stop`);
    await makeStopped(instanceId);
    const before = await wakeUps(instanceId);
    expect(await account.ok('POST', `/instances/${instanceId}/stop`)).toEqual({ instanceId, status: 'stopped' });
    expect(await get(instanceId)).toMatchObject({ status: 'stopped', transition: null });
    expect(await wakeUps(instanceId)).toBe(before);
  });

  test('waits until it is stopped, or until something else is wanted', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    const stopping = account.ok('POST', `/instances/${instanceId}/stop?wait=60`);
    await until(async () => ((await get(instanceId)).desiredStatus === 'stopped' ? true : null));
    await makeStopped(instanceId);
    expect(await stopping).toMatchObject({ instanceId, status: 'stopped', transition: null });

    const waiting = account.ok('GET', `/instances/${instanceId}/wait?status=stopped`);
    expect(await waiting).toMatchObject({ status: 'stopped' });
    await account.ok('POST', `/instances/${instanceId}/start`);
    expect(await account.ok('GET', `/instances/${instanceId}/wait?status=stopped`)).toMatchObject({ status: 'provisioning' });
  });
});

describe('instances.start', () => {
  test('answers the accepted target; nothing happens when it runs', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    const before = await wakeUps(instanceId);
    expect(await account.ok('POST', `/instances/${instanceId}/start`)).toEqual({ instanceId, status: 'running' });
    expect(await get(instanceId)).toMatchObject({ status: 'running', transition: null });
    expect(await wakeUps(instanceId)).toBe(before);
  });

  test('is another try from error', async () => {
    const instanceId = await newInstance(account);
    await makeFailed(instanceId);
    expect(await get(instanceId)).toMatchObject({
      status: 'error',
      statusReason: { code: 'start_failed', message: 'It did not start.', retryable: true },
    });
    await account.ok('POST', `/instances/${instanceId}/start`);
    expect(await get(instanceId)).toMatchObject({ status: 'provisioning', transition: { kind: 'starting' }, statusReason: null });
  });

  test('is 402 without balance, and changes nothing', async () => {
    const owner = await api.newAccount({ creditUsd: '1' });
    const instanceId = await newInstance(owner);
    await owner.ok('POST', `/instances/${instanceId}/stop`);
    await makeStopped(instanceId);
    await api.sql('update accounts set balance_nano_usd = 0 where id = ? returning id', [owner.accountId]);
    const { status, body } = await owner.call('POST', `/instances/${instanceId}/start`);
    expect([status, body.error.code]).toEqual([402, 'payment_required']);
    expect(await owner.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status: 'stopped', desiredStatus: 'stopped' });
  });
});

describe('instances.delete', () => {
  test('is accepted from every state and any number of times, until the instance is gone', async () => {
    const prepare: ((instanceId: string) => Promise<unknown>)[] = [
      async () => undefined,
      (id) => makeRunning(api, id),
      (id) => account.ok('POST', `/instances/${id}/stop`),
      (id) => makeStopped(id),
      (id) => makeFailed(id),
    ];
    for (const bring of prepare) {
      const instanceId = await newInstance(account);
      await bring(instanceId);
      for (let times = 0; times < 2; times += 1)
        expect(await account.ok('DELETE', `/instances/${instanceId}`)).toEqual({ instanceId, status: 'destroying' });
      expect(await get(instanceId)).toMatchObject({ status: 'destroying', transition: { kind: 'destroying' } });
      for (const action of ['start', 'stop'])
        expect((await account.call('POST', `/instances/${instanceId}/${action}`)).status).toBe(409);
      await api.sql('update instances set deleted_at = now() where id = ? returning id', [instanceId]);
      for (const [method, path] of [
        ['GET', ''],
        ['DELETE', ''],
        ['POST', '/start'],
      ] as const)
        expect((await account.call(method, `/instances/${instanceId}${path}`)).status).toBe(404);
    }
  });
});

describe('instances.wait', () => {
  test('counts as running only what is in no transition', async () => {
    const instanceId = await newInstance(account);
    await makeRunning(api, instanceId);
    await api.sql(
      `update instances set transition_kind = 'restarting', transition_started_at = now() where id = ? returning id`,
      [instanceId],
    );
    expect(await account.ok('GET', `/instances/${instanceId}/wait?timeout=0`)).toMatchObject({
      transition: { kind: 'restarting' },
    });
    const waiting = account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
    await makeRunning(api, instanceId);
    expect(await waiting).toMatchObject({ status: 'running', transition: null });
  });

  test('ends when the start has failed, and is 404 when the instance goes away', async () => {
    const instanceId = await newInstance(account);
    const waiting = account.ok('GET', `/instances/${instanceId}/wait`);
    await makeFailed(instanceId);
    expect(await waiting).toMatchObject({ status: 'error' });
    await makeRunning(api, instanceId);
    const gone = account.call('GET', `/instances/${instanceId}/wait?status=error`);
    await account.ok('DELETE', `/instances/${instanceId}`);
    expect((await gone).body.status).toBe('destroying');
    await api.sql('update instances set deleted_at = now() where id = ? returning id', [instanceId]);
    expect((await account.call('GET', `/instances/${instanceId}/wait`)).status).toBe(404);
  });
});
