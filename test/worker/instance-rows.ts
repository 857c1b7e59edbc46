import { randomBytes } from 'node:crypto';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createIdMaker } from '../../domain/ids.ts';

export const makeId = createIdMaker(randomBytes);

const BALANCE_NANO_USD = '50000000000';

interface InstanceValues {
  id?: string;
  runtimeId?: string;
  desiredStatus?: string;
  status?: string;
  bootId?: string | null;
  shard?: number;
  /** With an open interval of this boot id that began so many seconds ago. */
  ranForSeconds?: number;
}

/** An account with one instance, which runs as this gateway process. */
export async function insertInstance(
  orm: MikroORM,
  values: InstanceValues = {},
): Promise<{ instanceId: string; accountId: string }> {
  const { id: instanceId = makeId('inst'), desiredStatus = 'running', status = 'running', bootId = null, shard = 0 } = values;
  const accountId = makeId('acc');
  const em = orm.em.fork();
  // With money: a worker that sweeps the bills stops what nobody pays for.
  await em.execute(`insert into accounts (id, email, name, created_at, balance_nano_usd) values (?, ?, 'Test', now(), ?)`, [
    accountId,
    `${accountId}@example.com`,
    BALANCE_NANO_USD,
  ]);
  await em.execute(
    `insert into instances (id, account_id, name, runtime_id, created_at, desired_status, status, boot_id, shard)
     values (?, ?, 'Test', ?, now(), ?, ?, ?, ?)`,
    [instanceId, accountId, values.runtimeId ?? makeId('run'), desiredStatus, status, bootId, shard],
  );
  if (values.ranForSeconds !== undefined)
    await em.execute(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at, lost_at)
       values (?, ?, ?, ?, now() - make_interval(secs => ?), now() - make_interval(secs => ?))`,
      [makeId('int'), instanceId, accountId, bootId, values.ranForSeconds, values.ranForSeconds],
    );
  return { instanceId, accountId };
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

interface TurnValues {
  instanceId: string;
  accountId: string;
  bootId: string;
  attempt: number;
}

/** A pending turn of a new agent of this instance. Answers the id of its reply. */
export async function insertTurn(orm: MikroORM, { instanceId, accountId, bootId, attempt }: TurnValues): Promise<string> {
  const [agentId, conversationId, messageId, replyId] = [makeId('agt'), makeId('conv'), makeId('msg'), makeId('msg')];
  const em = orm.em.fork();
  await em.execute(
    `insert into agents (id, instance_id, account_id, slug, name, display_name, model, gateway_agent_id, status, generation, created_at)
     values (?, ?, ?, 'test', 'Test', 'Test', 'model', ?, 'active', 1, now())`,
    [agentId, instanceId, accountId, makeId('agt').replace('agt_', 'a')],
  );
  await em.execute(`insert into conversations (id, agent_id, session_id, last_number, created_at) values (?, ?, 's', 1, now())`, [
    conversationId,
    agentId,
  ]);
  for (const [id, role] of [
    [messageId, 'user'],
    [replyId, 'agent'],
  ] as const)
    await em.execute(
      `insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content, sender_type,
                             sender_id, sender_name, created_at, status, owner, boot_id, attempt)
       values (?, ?, ?, ?, ?, 1, ?, '', 'user', '', '', now(), ?, ?, ?, ?)`,
      [
        ...[id, accountId, instanceId, agentId, conversationId, role],
        ...(role === 'agent' ? ['pending', 'proc_api', bootId, attempt] : [null, null, null, 0]),
      ],
    );
  return replyId;
}
