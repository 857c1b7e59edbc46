import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../../database/orm.ts';
import { databaseNow, proveAlive } from '../../../database/processes/prove-alive.ts';
import { takeShards } from '../../../database/processes/shard-leases.ts';
import type { ShardLease } from '../../../database/processes/shard-leases.ts';
import { createTestDatabase } from '../../support/test-database.ts';
import type { TestDatabase } from '../../support/test-database.ts';
import { newPaidInstance, intervalsOf } from '../../worker/instance-rows.ts';

let database: TestDatabase;
let orm: MikroORM;
let lease: ShardLease;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

beforeEach(async () => {
  await orm.em.fork().execute('update watch_shards set owner = null, expires_at = null, alive_until = null');
  [lease] = (await takeShards(orm.em.fork(), { owner: 'proc_me', limit: 1, held: [] })) as [ShardLease];
});

async function round(instanceId: string, answered: boolean, under: ShardLease = lease): Promise<number[]> {
  const sentAt = await databaseNow(orm.em.fork());
  const changes = [{ instanceId, bootId: 'boot_1', shard: under.shard, answered }];
  return proveAlive(orm.em.fork(), { owner: 'proc_me', leases: [under], sentAt, changes });
}

async function proofOf(shard: number): Promise<number | null> {
  const [row] = await orm.em
    .fork()
    .execute<{ at: number | null }[]>(
      'select (extract(epoch from alive_until) * 1000)::float8 as at from watch_shards where shard = ?',
      [shard],
    );
  return row?.at ?? null;
}

test('the first answer takes the mark off; the first silence sets it to the proof before', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', shard: lease.shard, ranForSeconds: 60 });
  expect(await round(instanceId, true)).toEqual([lease.shard]);
  expect((await intervalsOf(orm, instanceId))[0]?.lostAt).toBeNull();
  const proof = await proofOf(lease.shard);
  expect(await round(instanceId, false)).toEqual([lease.shard]);
  expect((await intervalsOf(orm, instanceId))[0]?.lostAt).toBe(proof);
  expect(await proofOf(lease.shard)).toBeGreaterThan(proof!);
});

test('a gateway that has never answered is lost since its interval began', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', shard: lease.shard, ranForSeconds: 60 });
  await round(instanceId, false);
  const [interval] = await intervalsOf(orm, instanceId);
  expect(interval?.lostAt).toBe(interval?.startedAt);
});

test('nothing is written for a shard that another worker holds by now', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', shard: lease.shard, ranForSeconds: 60 });
  expect(await round(instanceId, true, { ...lease, epoch: lease.epoch - 1 })).toEqual([]);
  await orm.em.fork().execute(`update watch_shards set owner = 'proc_other' where shard = ?`, [lease.shard]);
  expect(await round(instanceId, true)).toEqual([]);
  expect(await proofOf(lease.shard)).toBeNull();
  expect((await intervalsOf(orm, instanceId))[0]?.lostAt).not.toBeNull();
});

test('an interval that was closed before the last proof is settled; one that was closed after it is marked', async () => {
  const settled = await newPaidInstance(orm, { bootId: 'boot_1', shard: lease.shard, ranForSeconds: 60 });
  const open = await newPaidInstance(orm, { bootId: 'boot_1', shard: lease.shard, ranForSeconds: 60 });
  await round(settled.instanceId, true);
  await round(open.instanceId, true);
  const em = orm.em.fork();
  await em.execute(`update runtime_intervals set ended_at = now() - interval '30 seconds' where instance_id = ?`, [
    settled.instanceId,
  ]);
  await em.execute(`update runtime_intervals set ended_at = now() where instance_id = ?`, [open.instanceId]);
  const proof = await proofOf(lease.shard);
  await round(settled.instanceId, false);
  expect((await intervalsOf(orm, settled.instanceId))[0]?.lostAt).toBeNull();
  await em.execute('update watch_shards set alive_until = to_timestamp(? / 1000.0) where shard = ?', [proof, lease.shard]);
  await round(open.instanceId, false);
  expect((await intervalsOf(orm, open.instanceId))[0]?.lostAt).toBe(proof);
});
