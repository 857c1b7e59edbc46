import type { EntityManager } from '@mikro-orm/postgresql';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { migrate } from '../../database/migrate.ts';
import { query, run, sql } from '../../database/sql.ts';
import { newInstance } from '../factories.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;
beforeEach(async () => {
  database = await openTestOrm();
  // As the version before has left it: the last migration is still to be done.
  await run(database.orm.em.fork(), sql`drop table responses`);
  await run(database.orm.em.fork(), sql`alter table messages drop column context`);
  await run(database.orm.em.fork(), sql`alter table conversations drop column prompt_hash, drop column instructions_hash`);
  await run(database.orm.em.fork(), sql`delete from mikro_orm_migrations where name like '20261210-doors%'`);
});
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
  return database.close();
});

/** A transaction of a process that works during the migration, until `end`. */
async function rival(work: (em: EntityManager) => Promise<unknown>) {
  const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const ended = database.orm.em.fork().transactional(async (em) => {
    await run(em, sql`set local deadlock_timeout = '10min'`);
    await work(em);
    begun.resolve();
    await end.promise;
    await query(em, sql`select from accounts`);
  });
  ends.push(end.resolve);
  await Promise.race([begun.promise, ended]);
  return { end: end.resolve, ended };
}

async function hasResponses(): Promise<unknown> {
  return query(database.orm.em.fork(), sql`select to_regclass('responses') is not null as "isThere"`);
}

test('instances that were there before runtimes were have theirs after the migration', async () => {
  const em = database.orm.em.fork();
  const { instanceId, runtimeId } = await newInstance(database.orm);
  await run(em, sql`drop function keep_runtime cascade`);
  for (const table of ['processes', 'watch_shards', 'unowned_runtimes'])
    await run(em, sql`alter table ${sql.id(table)} drop column node_id`);
  await run(em, sql`drop table spare_agents, pool_members, runtimes, nodes`);
  await run(em, sql`delete from mikro_orm_migrations where name like '20261211-runtimes%' or name like '20261214-pool%'`);
  await migrate(database.url);
  const found = await query(em, sql`select id, instance_id as "instanceId", node_id as "nodeId" from runtimes`);
  expect(found).toEqual([{ id: runtimeId, instanceId, nodeId: null }]);
});

test('a migration that deadlocks with a running process is run again, and the process loses nothing', async () => {
  const process = await rival((em) => query(em, sql`select from messages`));
  let tries = 0;
  await migrate(database.url, {
    async before(em) {
      tries += 1;
      if (tries > 1) return;
      // The process waits for this table, and the migration for the one that the process has.
      await run(em, sql`set local deadlock_timeout = '10ms'`);
      await run(em, sql`lock table accounts`);
      process.end();
    },
  });
  await process.ended;
  expect(tries).toBe(2);
  expect(await hasResponses()).toEqual([{ isThere: true }]);
});

test('a migration that gets no lock five times fails, and leaves the database as it was', async () => {
  const process = await rival((em) => query(em, sql`select from messages`));
  let tries = 0;
  const migrated = migrate(database.url, {
    async before(em) {
      tries += 1;
      await run(em, sql`lock table messages nowait`);
    },
  });
  await expect(migrated).rejects.toMatchObject({ code: '55P03' });
  expect(tries).toBe(5);
  process.end();
  await process.ended;
  expect(await hasResponses()).toEqual([{ isThere: false }]);
});
