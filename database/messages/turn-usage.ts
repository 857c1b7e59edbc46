import { columns } from '../db.ts';
import { ModelCall } from '../entities/model-call.ts';
import { fieldsOf, listOf } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asNumber, asText, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const call = columns(ModelCall);

const sumOf = (column: Sql) => sql<bigint>`coalesce(sum(${column}), 0)`;
/** An ARN of Bedrock would name the AWS account of the operator. */
const NAME = sql`regexp_replace(${call.upstream}, '^arn:.*/', '')`;

const SUMS = {
  inputTokens: asNumber(sumOf(call.inputTokens)),
  outputTokens: asNumber(sumOf(call.outputTokens)),
  /** Of the input, what came from the cache of the provider, and what went there. */
  cacheReadTokens: asNumber(sumOf(call.cacheReadTokens)),
  cacheWriteTokens: asNumber(sumOf(call.cacheWriteTokens)),
  /** Of the output, what the model thought. */
  thinkingTokens: asNumber(sumOf(call.thinkingTokens)),
  /** Zero for models without prices. */
  costNanoUsd: asText(sumOf(call.costNanoUsd)),
  /** The models that answered, as their providers name them, but without what an ARN says before the name. */
  models: sql<string[]>`coalesce(array_agg(distinct ${NAME}) filter (where ${call.upstream} is not null), '{}')`,
};

/** What all model calls of a turn used so far. */
export type TurnUsage = RowOf<typeof SUMS>;

/** A subquery with one row for the turn of this reply; see USAGE_FIELDS. */
export function turnUsage(messageId: Sql): Sql {
  return sql`(select ${listOf(SUMS)} from model_calls where ${call.message} = ${messageId})`;
}

/** The fields of TurnUsage, of a subquery turnUsage with the name `usage`. */
export const USAGE_FIELDS = fieldsOf('usage', SUMS);
