import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

/**
 * Counts model calls whose relay process has died, as what was reserved for them: nothing else is known. Answers how many
 * there were, at most as many as the limit.
 */
export async function settleLeftCalls(em: EntityManager, { limit }: { limit: number }): Promise<number> {
  return run(
    em,
    sql`with call as (
       delete from open_model_calls where id in (
         select id from open_model_calls where expires_at < now() order by expires_at, id limit ${limit} for update skip locked)
       returning *)
     insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens)
     select account_id, instance_id, agent_id,
            (select id from messages where trace_id = call.trace_id and agent_id = call.agent_id), model, input_tokens, output_tokens
       from call`,
  );
}
