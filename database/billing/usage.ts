import type { EntityManager } from '@mikro-orm/postgresql';
import { BILLED, provenUntil } from './meter-sql.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** A running time that is paid. Times are milliseconds since 1970. */
export interface PaidInterval {
  instanceId: string;
  startedAt: number;
  /** How far it is debited or has accrued. */
  until: number;
}

/** What was said and used, by instance, agent, UTC day or model. */
export interface ModelUsage {
  key: string;
  messages: number;
  inputTokens: number;
  outputTokens: number;
  /** Of the input, what came from the caches of providers, and what went there. */
  cacheReadTokens: number;
  cacheWriteTokens: number;
  /** Of the output, what the models thought. */
  thinkingTokens: number;
  /** What the calls cost. */
  tokensNanoUsd: string;
}

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
  return query<PaidInterval>(
    em,
    sql`select i.instance_id as "instanceId", (extract(epoch from i.started_at) * 1000)::float8 as "startedAt",
            (extract(epoch from date_trunc('milliseconds', case when i.settled then ${BILLED}
                                                              else greatest(${BILLED}, ${provenUntil(sql`now()`)}) end)) * 1000)::float8 as until
       from runtime_intervals i
       join instances on instances.id = i.instance_id
       join watch_shards shard on shard.shard = instances.shard
      where i.account_id = ${accountId} and i.started_at < ${to} and (i.ended_at is null or i.ended_at > ${from})
        and (${instanceId}::text is null or i.instance_id = ${instanceId})
      order by i.started_at`,
  );
}

const KEYS: Record<UsageGroup, (row: { at: Sql; model: Sql }) => Sql> = {
  model: ({ model }) => model,
  instance: () => sql`instance_id`,
  agent: () => sql`agent_id`,
  day: ({ at }) => sql`to_char(${at} at time zone 'UTC', 'YYYY-MM-DD')`,
};

/** A message's row names no model; its agent's does, and an agent's model never changes. */
const OF_AGENT = sql`(select model from agents where agents.id = agent_id)`;

/**
 * How many messages were sent, by customers or by agents themselves, and how many tokens the models took and gave, and at what
 * cost, within this range.
 */
export async function sumModelUsage(em: EntityManager, group: UsageGroup, range: Range): Promise<ModelUsage[]> {
  const { accountId, instanceId, from, to } = range;
  const isOfInstance = sql`(${instanceId}::text is null or instance_id = ${instanceId})`;
  return query<ModelUsage>(
    em,
    sql`select key, sum(messages)::float8 as messages, sum(input)::float8 as "inputTokens", sum(output)::float8 as "outputTokens",
            sum(cache_read)::float8 as "cacheReadTokens", sum(cache_write)::float8 as "cacheWriteTokens", sum(thinking)::float8 as "thinkingTokens",
            sum(cost)::text as "tokensNanoUsd"
       from (select ${KEYS[group]({ at: sql`created_at`, model: OF_AGENT })} as key, count(*) as messages, 0 as input, 0 as output,
                    0 as cache_read, 0 as cache_write, 0 as thinking, 0 as cost from messages
              where account_id = ${accountId} and created_at >= ${from} and created_at < ${to}
                and (role = 'user' or source is not null) and ${isOfInstance}
              group by 1
             union all
             select ${KEYS[group]({ at: sql`at`, model: sql`model` })}, 0, sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens),
                    sum(thinking_tokens), sum(cost_nano_usd) from model_calls
              where account_id = ${accountId} and at >= ${from} and at < ${to} and ${isOfInstance}
              group by 1) counted
      group by key`,
  );
}
