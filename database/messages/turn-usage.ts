import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** What all model calls of a turn used so far. */
export interface TurnUsage {
  inputTokens: number;
  outputTokens: number;
  /** Of the input, what came from the cache of the provider, and what went there. */
  cacheReadTokens: number;
  cacheWriteTokens: number;
  /** Of the output, what the model thought. */
  thinkingTokens: number;
  /** Zero for models without prices. */
  costNanoUsd: string;
  /** The models that answered, as their providers name them, but without what an ARN says before the name. */
  models: string[];
}

/** An ARN of Bedrock would name the AWS account of the operator. */
const NAME = sql`regexp_replace(upstream, '^arn:.*/', '')`;

/** A subquery with one row for the turn of this reply; see USAGE_COLUMNS. */
export function turnUsage(messageId: Sql): Sql {
  return sql`(select coalesce(sum(input_tokens), 0)::float8 as input, coalesce(sum(output_tokens), 0)::float8 as output,
                     coalesce(sum(cache_read_tokens), 0)::float8 as cache_read, coalesce(sum(cache_write_tokens), 0)::float8 as cache_write,
                     coalesce(sum(thinking_tokens), 0)::float8 as thinking, coalesce(sum(cost_nano_usd), 0)::text as cost,
                     coalesce(array_agg(distinct ${NAME}) filter (where upstream is not null), '{}') as models
                from model_calls where message_id = ${messageId})`;
}

/** The columns of TurnUsage, of a subquery turnUsage with the name `usage`. */
export const USAGE_COLUMNS = sql`usage.input as "inputTokens", usage.output as "outputTokens", usage.cache_read as "cacheReadTokens",
  usage.cache_write as "cacheWriteTokens", usage.thinking as "thinkingTokens", usage.cost as "costNanoUsd", usage.models`;
