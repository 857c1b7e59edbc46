import type { MikroORM } from '@mikro-orm/postgresql';
import type { Instance } from '../../database/entities/instance.ts';
import { makeId, newAccount, newInstance } from '../factories.ts';
import type { NewInstance } from '../factories.ts';

const BALANCE_NANO_USD = 50_000_000_000n;

interface InstanceValues extends Partial<Instance> {
  /** With an open interval of this boot id that began so many seconds ago. */
  ranForSeconds?: number;
}

/** An instance of an account with money: a worker that sweeps the bills stops what is not paid for. */
export async function newPaidInstance(orm: MikroORM, { ranForSeconds, ...values }: InstanceValues = {}): Promise<NewInstance> {
  const { accountId: account } = await newAccount(orm, { balanceNanoUsd: BALANCE_NANO_USD });
  const instance = await newInstance(orm, { ...values, account });
  if (ranForSeconds !== undefined)
    await orm.em.fork().execute(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at, lost_at)
       values (?, ?, ?, ?, now() - make_interval(secs => ?), now() - make_interval(secs => ?))`,
      [makeId('int'), instance.instanceId, account, values.bootId, ranForSeconds, ranForSeconds],
    );
  return instance;
}

export interface InstanceState {
  bootId: string | null;
  status: string;
  desiredStatus: string;
  transitionKind: string | null;
  killFirst: boolean;
  deaths: number;
  startsLater: boolean;
  epoch: number;
}

export async function instanceState(orm: MikroORM, instanceId: string): Promise<InstanceState> {
  const [row] = await orm.em.fork().execute<InstanceState[]>(
    `select boot_id as "bootId", status, desired_status as "desiredStatus", transition_kind as "transitionKind",
            kill_first as "killFirst", coalesce(array_length(deaths, 1), 0) as deaths,
            start_not_before is not null as "startsLater", epoch::float8 as epoch
       from instances where id = ?`,
    [instanceId],
  );
  if (!row) throw new Error('no such instance');
  return row;
}

export interface IntervalState {
  bootId: string;
  /** In milliseconds since 1970, of the database's clock. */
  startedAt: number;
  endedAt: number | null;
  lostAt: number | null;
}

/** The intervals of an instance, oldest first. */
export async function intervalsOf(orm: MikroORM, instanceId: string): Promise<IntervalState[]> {
  const millis = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
  return orm.em.fork().execute<IntervalState[]>(
    `select boot_id as "bootId", ${millis('started_at')} as "startedAt", ${millis('ended_at')} as "endedAt", ${millis('lost_at')} as "lostAt"
       from runtime_intervals where instance_id = ? order by started_at`,
    [instanceId],
  );
}

export async function countOutbox(orm: MikroORM, instanceId?: string): Promise<number> {
  const [row] = await orm.em
    .fork()
    .execute<{ count: number }[]>('select count(*)::int as count from outbox where subject_id = coalesce(?, subject_id)', [
      instanceId ?? null,
    ]);
  return row?.count ?? 0;
}
