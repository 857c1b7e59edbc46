import type { EntityManager } from '@mikro-orm/postgresql';
import { BILLED, provenUntil } from './meter-sql.ts';
import { columns } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { ModelCall } from '../entities/model-call.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asNumber, asText, epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const i = columns(RuntimeInterval, 'i');

const PAID = {
  instanceId: i.instance,
  startedAt: epochMs(i.startedAt),
  /** How far it is debited or has accrued. */
  until: epochMs(
    sql<Date>`date_trunc('milliseconds', case when ${i.settled} then ${BILLED} else greatest(${BILLED}, ${provenUntil(sql`now()`)}) end)`,
  ),
};

/** A running time that is paid. Times are milliseconds since 1970. */
export type PaidInterval = RowOf<typeof PAID>;

const sumOf = (name: 'messages' | 'input' | 'output' | 'cache_read' | 'cache_write' | 'thinking' | 'cost') =>
  sql<bigint>`sum(${sql.id(name)})`;

const USAGE = {
  key: sql<string>`key`,
  messages: asNumber(sumOf('messages')),
  inputTokens: asNumber(sumOf('input')),
  outputTokens: asNumber(sumOf('output')),
  /** Of the input, what came from the caches of providers, and what went there. */
  cacheReadTokens: asNumber(sumOf('cache_read')),
  cacheWriteTokens: asNumber(sumOf('cache_write')),
  /** Of the output, what the models thought. */
  thinkingTokens: asNumber(sumOf('thinking')),
  /** What the calls cost. */
  tokensNanoUsd: asText(sumOf('cost')),
};

/** What was said and used, by instance, agent, UTC day or model. */
export type ModelUsage = RowOf<typeof USAGE>;

export type UsageGroup = 'instance' | 'agent' | 'day' | 'model';

interface Range {
  accountId: string;
  /** Of one instance only. */
  instanceId: string | null;
  from: Date;
  to: Date;
}

/** The running times of an account that reach into this range. */
export async function listPaidIntervals(em: EntityManager, { accountId, instanceId, from, to }: Range): Promise<PaidInterval[]> {
  const instance = columns(Instance, 'instances');
  const shard = columns(WatchShard, 'shard');
  return fetchRows(
    em,
    PAID,
    (fields) => sql`
      select ${fields}
        from runtime_intervals i
        join instances on ${instance.id} = ${i.instance}
        join watch_shards shard on ${shard.shard} = ${instance.shard}
       where ${i.account} = ${accountId} and ${i.startedAt} < ${to} and (${i.endedAt} is null or ${i.endedAt} > ${from})
         and ${isOf(i.instance, instanceId)}
       order by ${i.startedAt}`,
  );
}

/** Of this instance; null: of all. */
const isOf = (instance: Sql, instanceId: string | null): Sql =>
  instanceId === null ? sql`true` : sql`${instance} = ${instanceId}`;

const message = columns(Message);
const call = columns(ModelCall);

/** A message's row names no model; its agent's does, and an agent's model never changes. */
const OF_AGENT = sql`(select ${columns(Agent).model} from agents where ${columns(Agent, 'agents').id} = ${columns(Message, 'messages').agent})`;

const dayOf = (moment: Sql): Sql => sql`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD')`;

const KEYS: Record<UsageGroup, { ofMessage: Sql; ofCall: Sql }> = {
  model: { ofMessage: OF_AGENT, ofCall: call.model },
  instance: { ofMessage: message.instance, ofCall: call.instance },
  agent: { ofMessage: message.agent, ofCall: call.agent },
  day: { ofMessage: dayOf(message.createdAt), ofCall: dayOf(call.at) },
};

/**
 * How many messages were sent, by customers or by agents themselves, and how many tokens the models took and gave, and at what
 * cost, within this range.
 */
export async function sumModelUsage(em: EntityManager, group: UsageGroup, range: Range): Promise<ModelUsage[]> {
  const { accountId, instanceId, from, to } = range;
  const { ofMessage, ofCall } = KEYS[group];
  const tokens = [
    call.inputTokens,
    call.outputTokens,
    call.cacheReadTokens,
    call.cacheWriteTokens,
    call.thinkingTokens,
    call.costNanoUsd,
  ];
  return fetchRows(
    em,
    USAGE,
    (fields) => sql`
      select ${fields}
        from (select ${ofMessage} as key, count(*) as messages, 0 as input, 0 as output, 0 as cache_read, 0 as cache_write, 0 as thinking, 0 as cost
                from messages
               where ${message.account} = ${accountId} and ${message.createdAt} >= ${from} and ${message.createdAt} < ${to}
                 and (${message.role} = 'user' or ${message.source} is not null) and ${isOf(message.instance, instanceId)}
               group by 1
              union all
              select ${ofCall}, 0, ${sql.join(tokens.map((column) => sql`sum(${column})`))} from model_calls
               where ${call.account} = ${accountId} and ${call.at} >= ${from} and ${call.at} < ${to} and ${isOf(call.instance, instanceId)}
               group by 1) counted
       group by key`,
  );
}
