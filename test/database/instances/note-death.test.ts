import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../../database/orm.ts';
import { noteDeath } from '../../../database/instances/note-death.ts';
import type { GatewayDeath } from '../../../database/instances/note-death.ts';
import { takeShards } from '../../../database/processes/shard-leases.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createTestDatabase } from '../../support/test-database.ts';
import type { TestDatabase } from '../../support/test-database.ts';
import { countOutbox, newPaidInstance, instanceState, intervalsOf } from '../../worker/instance-rows.ts';

let database: TestDatabase;
let orm: MikroORM;
let lease: GatewayDeath['lease'];

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

beforeEach(async () => {
  await orm.em.fork().execute(`update watch_shards set owner = null, expires_at = null`);
  const [taken] = await takeShards(orm.em.fork(), { owner: 'proc_me', limit: 1, held: [] });
  lease = { owner: 'proc_me', shard: taken!.shard, epoch: taken!.epoch };
});

const note = (death: Partial<GatewayDeath> & { instanceId: string }): Promise<boolean> =>
  runTransaction(orm.em, (em) =>
    noteDeath(em, { bootId: 'boot_1', lease, endedAt: null, killFirst: false, now: new Date(), ...death }),
  );

test('a death ends the interval when the process ended, takes the gateway out of use and wakes the reconciler', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', ranForSeconds: 60 });
  const endedAt = new Date(Date.now() - 20_000);
  expect(await note({ instanceId, endedAt })).toBe(true);
  expect(await instanceState(orm, instanceId)).toMatchObject({
    bootId: null,
    status: 'provisioning',
    desiredStatus: 'running',
    transitionKind: 'recovering',
    killFirst: false,
    deaths: 1,
    startsLater: false,
  });
  expect(await intervalsOf(orm, instanceId)).toMatchObject([{ endedAt: endedAt.getTime() }]);
  expect(await countOutbox(orm, instanceId)).toBe(1);
});

test('a death is noted once, and only of the gateway process that it is about', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', ranForSeconds: 60 });
  expect(await note({ instanceId, bootId: 'boot_0' })).toBe(false);
  expect(await instanceState(orm, instanceId)).toMatchObject({ bootId: 'boot_1', deaths: 0 });
  const outcomes = await Promise.all([note({ instanceId }), note({ instanceId }), note({ instanceId })]);
  expect(outcomes.filter(Boolean)).toHaveLength(1);
  expect(await instanceState(orm, instanceId)).toMatchObject({ bootId: null, deaths: 1 });
});

test('whoever lost the lease of the shard notes nothing', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', ranForSeconds: 60, shard: lease.shard });
  await orm.em.fork().execute(`update watch_shards set owner = 'proc_other', epoch = epoch + 1 where shard = ?`, [lease.shard]);
  expect(await note({ instanceId })).toBe(false);
  expect(await note({ instanceId, lease: { ...lease, owner: 'proc_other' } })).toBe(false);
  expect(await instanceState(orm, instanceId)).toMatchObject({ bootId: 'boot_1', deaths: 0 });
});

test('when nobody knows the time, the interval ends with the last proof that the gateway ran', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', ranForSeconds: 60, shard: lease.shard });
  await orm.em.fork().execute(`update runtime_intervals set lost_at = null where instance_id = ?`, [instanceId]);
  await orm.em
    .fork()
    .execute(`update watch_shards set alive_until = now() - interval '40 seconds' where shard = ?`, [lease.shard]);
  expect(await note({ instanceId, killFirst: true })).toBe(true);
  const [interval] = await intervalsOf(orm, instanceId);
  const [proof] = await orm.em
    .fork()
    .execute<{ at: number }[]>(
      'select (extract(epoch from alive_until) * 1000)::float8 as at from watch_shards where shard = ?',
      [lease.shard],
    );
  expect(interval?.endedAt).toBe(proof?.at);
  expect(await instanceState(orm, instanceId)).toMatchObject({ killFirst: true });
});

test('a gateway that keeps dying is given a pause before the next start', async () => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', ranForSeconds: 60 });
  await note({ instanceId });
  await orm.em.fork().execute(`update instances set boot_id = 'boot_2' where id = ?`, [instanceId]);
  await note({ instanceId, bootId: 'boot_2' });
  expect(await instanceState(orm, instanceId)).toMatchObject({ deaths: 2, startsLater: true });
});

test.each([
  ['an instance that is being stopped', `desired_status = 'stopped', transition_kind = 'stopping'`],
  ['an instance that restarts', `transition_kind = 'restarting'`],
])('the end of the gateway of %s is no death', async (_, change) => {
  const { instanceId } = await newPaidInstance(orm, { bootId: 'boot_1', ranForSeconds: 60 });
  await orm.em.fork().execute(`update instances set ${change} where id = ?`, [instanceId]);
  expect(await note({ instanceId })).toBe(true);
  expect(await instanceState(orm, instanceId)).toMatchObject({ bootId: null, status: 'running', deaths: 0 });
});
