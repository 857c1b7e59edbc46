import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../../database/orm.ts';
import { findLifecycle } from '../../../database/instances/lifecycle/find-lifecycle.ts';
import { wakeUnconverged } from '../../../database/instances/wake-unconverged.ts';
import { converged } from '../../../domain/lifecycle.ts';
import { createTestDatabase } from '../../support/test-database.ts';
import type { TestDatabase } from '../../support/test-database.ts';
import { newInstance } from '../../factories.ts';

let database: TestDatabase;
let orm: MikroORM;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

test('wakes exactly the instances that are not as they are wanted, once', async () => {
  const { accountId } = await newInstance(orm, { desiredStatus: 'stopped', status: 'stopped' });
  await orm.em.fork().execute(
    `insert into instances (id, account_id, name, runtime_id, created_at, desired_status, status, boot_id, shard,
                            error_generation, content_generation, restart_generation, deleted_at)
     select 'inst_' || row_number() over (), ?, 'Test', 'run_' || row_number() over (), now(), desired, status, boot, 0,
            error, content, restart, case when gone then now() end
       from unnest(array['running', 'stopped', 'destroyed']) desired,
            unnest(array['provisioning', 'running', 'stopped', 'destroying', 'error']) status,
            unnest(array[null, 'boot_1']) boot, unnest(array[null, 0, 1]) error, unnest(array[0, 1]) content,
            unnest(array[0, 1]) restart, unnest(array[false, true]) gone`,
    [accountId],
  );
  await orm.em.fork().execute(
    `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at)
     select 'int_' || id, id, account_id, 'boot_1', now() from instances where random() < 0.5`,
  );
  const ids = await orm.em.fork().execute<{ id: string }[]>('select id from instances');
  const expected: string[] = [];
  for (const { id } of ids) if (!converged((await findLifecycle(orm.em.fork(), id, { lock: false }))!)) expected.push(id);

  expect(await wakeUnconverged(orm.em.fork())).toBe(expected.length);
  const woken = await orm.em.fork().execute<{ id: string }[]>('select subject_id as id from outbox');
  expect(woken.map(({ id }) => id).toSorted()).toEqual(expected.toSorted());
  expect(await wakeUnconverged(orm.em.fork())).toBe(0);
});
