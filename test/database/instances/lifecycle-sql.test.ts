import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { takesMessages } from '../../../domain/lifecycle.ts';
import { takesMessages as takesMessagesSql } from '../../../database/instances/lifecycle/lifecycle-sql.ts';
import { query, sql } from '../../../database/sql.ts';
import type { InstanceStatus, DesiredStatus, TransitionKind } from '../../../domain/lifecycle.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

let database: TestOrm;
beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

interface State {
  status: InstanceStatus;
  desiredStatus: DesiredStatus;
  transitionKind: TransitionKind | null;
  bootId: string | null;
  takes: boolean;
}

test('an instance takes messages in the same states, whether it is asked in a statement or of its row', async () => {
  const states = await query<State>(
    database.orm.em.fork(),
    sql`select status, desired_status as "desiredStatus", transition_kind as "transitionKind", boot_id as "bootId",
               coalesce(${takesMessagesSql('i')}, false) as takes
          from (select * from unnest(array['running', 'stopped', 'destroyed']) desired_status,
                              unnest(array['provisioning', 'running', 'stopped', 'destroying', 'error']) status,
                              unnest(array[null, 'starting', 'stopping', 'restarting', 'recovering', 'destroying']) transition_kind,
                              unnest(array[null, 'boot_1']) boot_id) i`,
  );
  expect(states).toHaveLength(3 * 5 * 6 * 2);
  expect(states.filter(({ takes }) => takes)).toHaveLength(1);
  expect(states.filter((state) => takesMessages(state) !== state.takes)).toEqual([]);
});
