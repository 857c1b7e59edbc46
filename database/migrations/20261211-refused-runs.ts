import { Migration } from '@mikro-orm/migrations';

/**
 * As before, and a refused call is stored without a turn too, because a gateway only says that the run of a job failed. Of a turn that
 * goes on, and of all other calls of an agent, at most one in a second: its programs may call as often as they like.
 */
const RESERVE = `
create or replace function reserve_model_call(account text, instance text, agent text, trace text, model_id text, input int, output int,
                                   kept_ms float8, present timestamptz,
                                   out call_id bigint, out refused_by text, out budget_name text, out budget_period text)
language plpgsql security definer set search_path from current set plan_cache_mode = force_generic_plan as $$
declare
  begun timestamptz(3) := date_trunc('milliseconds', coalesce(present, now()));
  priced timestamptz(3) := (select max(starts_at) from model_prices where model = model_id and starts_at <= begun);
  turn record;
  refused_turn text;
begin
  select reply.id, reply.status, reply.key_id, said.sender_id, nullif(talk.session_id, '') as session_id into turn
    from messages reply left join conversations talk on talk.id = reply.conversation_id
    left join messages said on said.conversation_id = reply.conversation_id and said.number = reply.number and said.role = 'user'
   where reply.trace_id = trace and reply.agent_id = agent;
  insert into open_model_calls (account_id, instance_id, agent_id, trace_id, model, input_tokens, output_tokens, expires_at,
                                begun_at, priced_from)
  values (account, instance, agent, trace, model_id, input, output, begun + kept_ms * interval '1 ms', begun, priced)
  returning id into call_id;
  refused_by := take_budgets(account, instance, agent, turn.key_id, turn.sender_id, turn.session_id, turn.id, call_id,
                             most_token_cost(model_id, input, output, begun), begun);
  if refused_by is null then return; end if;
  delete from open_model_calls where id = call_id;
  call_id := null;
  select name, period into budget_name, budget_period from budgets where id = refused_by;
  refused_turn := case when turn.status = 'pending' then turn.id end;
  insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens, at, begun_at, priced_from, refused_by)
  select account, instance, agent, refused_turn, model_id, 0, 0, begun, begun, priced, refused_by
   where not exists (select from model_calls made where made.agent_id = agent and made.message_id is not distinct from refused_turn
                       and made.refused_by is not null and made.at > begun - interval '1 second');
end $$;
`;

/** The run of a scheduled job that a budget has no room for says so. */
export class RefusedRuns extends Migration {
  override up(): void {
    this.addSql(RESERVE);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
