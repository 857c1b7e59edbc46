import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table budgets (
  id text not null primary key,
  account_id text not null,
  name text not null,
  instance_id text null,
  agent_id text null,
  key_id text null,
  sender_id text null,
  session_id text null,
  period text not null,
  limit_nano_usd bigint not null,
  warn_at smallint not null,
  created_at timestamptz(3) not null,
  deleted_at timestamptz(3) null
);
alter table budgets add constraint budgets_account_fk foreign key (account_id) references accounts (id);
alter table budgets add constraint budgets_period_known check (period in ('day', 'month', 'total'));
alter table budgets add constraint budgets_limit_positive check (limit_nano_usd > 0);
alter table budgets add constraint budgets_warn_at_known check (warn_at >= 1 and warn_at <= 99);
create index budgets_account_index on budgets (account_id, created_at, id) where deleted_at is null;

create table budget_spends (
  budget_id text not null,
  key text not null,
  period_start timestamptz(3) not null,
  tokens_nano_usd bigint not null default '0',
  reserved_nano_usd bigint not null default '0',
  runtime_nano_usd bigint not null default '0',
  burn_nano_usd_per_hour bigint not null default '0',
  looked_at timestamptz(3) null,
  look_at timestamptz(3) null,
  is_warned boolean not null default false,
  is_reached boolean not null default false,
  primary key (budget_id, key, period_start)
);
alter table budget_spends add constraint budget_spends_budget_fk foreign key (budget_id) references budgets (id);
create index budget_spends_look_index on budget_spends (look_at) where look_at is not null;
create index budget_spends_period_index on budget_spends (period_start);

create table budget_holds (
  message_id text not null,
  budget_id text not null,
  key text not null,
  period_start timestamptz(3) not null,
  nano_usd bigint not null,
  primary key (message_id, budget_id)
);

create table open_call_budgets (
  call_id bigint not null,
  budget_id text not null,
  key text not null,
  period_start timestamptz(3) not null,
  message_id text null,
  nano_usd bigint not null,
  held_nano_usd bigint not null,
  primary key (call_id, budget_id)
);

alter table messages add column key_id text null;
alter table model_calls add column refused_by text null;
`;

/** When the period of a budget began that this moment is in. Days and months are those of UTC. */
const PERIOD = `
create function budget_period_start(period text, present timestamptz) returns timestamptz language sql immutable as $$
  select case period when 'day' then date_bin('1 day', present, 'epoch')
                     when 'month' then date_trunc('month', present at time zone 'UTC') at time zone 'UTC'
                     else 'epoch'::timestamptz end
$$;
`;

/** The budgets of an account that something counts for, what "*" stands for in each, and their present period. */
const MATCHING = `
create type budget_place as (budget_id text, key text, period_start timestamptz(3));
create function matching_budgets(account text, instance text, agent text, api_key text, sender text, session text, present timestamptz)
returns setof budget_place language sql stable as $$
  select id, case cardinality(named) when 0 then '' when 1 then named[1] else array_to_json(named)::text end,
         budget_period_start(period, present)
    from budgets
   cross join lateral (select array_remove(array[case when instance_id = '*' then instance end, case when agent_id = '*' then agent end,
                                                 case when key_id = '*' then api_key end, case when sender_id = '*' then sender end,
                                                 case when session_id = '*' then session end], null) as named) stars
   where account_id = account and deleted_at is null
     and (instance_id is null or instance is not null and instance_id in ('*', instance))
     and (agent_id is null or agent is not null and agent_id in ('*', agent))
     and (key_id is null or api_key is not null and key_id in ('*', api_key))
     and (sender_id is null or sender is not null and sender_id in ('*', sender))
     and (session_id is null or session is not null and session_id in ('*', session))
$$;
`;

/** What is spent at this moment: tokens, and running time as it was seen last and goes on. */
const SPENT = `
create function spent_by(spend budget_spends, present timestamptz) returns bigint language sql immutable as $$
  select (spend).tokens_nano_usd + (spend).runtime_nano_usd
         + floor((spend).burn_nano_usd_per_hour * coalesce(greatest(0, extract(epoch from present - (spend).looked_at)), 0) / 3600)::bigint
$$;
`;

/** The most that a call with so many tokens costs, rounded up. */
const MOST = `
create function most_token_cost(model_id text, input bigint, output bigint, present timestamptz) returns bigint language sql stable as $$
  select coalesce((select ceil((input::numeric * greatest(input_nano_usd, cache_read_nano_usd, cache_write_nano_usd)
                                + output::numeric * output_nano_usd) / 1000000)::bigint
                     from model_prices where model = model_id and starts_at <= present order by starts_at desc limit 1), 0)
$$;
`;

/** A few rows of large tables, whatever the tables were like when their statements were planned. */
const BY_INDEX = 'set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off';

/**
 * Reserves an amount in each budget that a turn or a call of a model counts for: for the turn until it ends (call null), or for the
 * call. All or none: answers the first budget that has no room, null when all have. A budget has room while what is spent and
 * reserved is below its limit; a turn may use up what is reserved for it in any case. Locks the rows, in their order.
 */
const TAKE = `
create function take_budgets(account text, instance text, agent text, api_key text, sender text, session text, turn text, call bigint,
                             amount bigint, present timestamptz)
returns text language plpgsql security definer set search_path from current
${BY_INDEX} as $$
declare
  -- Once: a budget that is made or deleted meanwhile counts from the next call on.
  places budget_place[] := array(select m from matching_budgets(account, instance, agent, api_key, sender, session, present) m);
  refused text;
begin
  if cardinality(places) = 0 then return null; end if;
  insert into budget_spends (budget_id, key, period_start) select * from unnest(places) order by 1, 2, 3 on conflict do nothing;
  perform from budget_spends s join unnest(places) using (budget_id, key, period_start)
    order by s.budget_id, s.key, s.period_start for update of s;
  -- A new statement, which sees what others have reserved while this one waited.
  select s.budget_id into refused
    from budget_spends s join unnest(places) using (budget_id, key, period_start) join budgets b on b.id = s.budget_id
    left join budget_holds h on call is not null and h.message_id = turn and h.budget_id = s.budget_id and h.key = s.key
                            and h.period_start = s.period_start
   where coalesce(h.nano_usd, 0) = 0 and spent_by(s, present) + s.reserved_nano_usd >= b.limit_nano_usd
   order by s.budget_id limit 1;
  if refused is not null then return refused; end if;
  if call is null then
    insert into budget_holds (message_id, budget_id, key, period_start, nano_usd)
    select turn, m.budget_id, m.key, m.period_start, amount from unnest(places) m where amount > 0;
    update budget_spends s set reserved_nano_usd = s.reserved_nano_usd + amount from unnest(places) m
     where s.budget_id = m.budget_id and s.key = m.key and s.period_start = m.period_start and amount > 0;
  else
    insert into open_call_budgets (call_id, budget_id, key, period_start, message_id, nano_usd, held_nano_usd)
    select call, m.budget_id, m.key, m.period_start, turn, amount, coalesce(h.nano_usd, 0) from unnest(places) m
      left join budget_holds h on h.message_id = turn and h.budget_id = m.budget_id and h.key = m.key and h.period_start = m.period_start;
    update budget_spends s set reserved_nano_usd = s.reserved_nano_usd + r.nano_usd - r.held_nano_usd from open_call_budgets r
     where r.call_id = call and s.budget_id = r.budget_id and s.key = r.key and s.period_start = r.period_start;
    update budget_holds h set nano_usd = 0 from open_call_budgets r
     where r.call_id = call and r.held_nano_usd > 0 and h.message_id = turn and h.budget_id = r.budget_id;
  end if;
  return null;
end $$;
`;

/**
 * Ends what is reserved for a call, and counts what it cost. What is left of what its turn had reserved is reserved for the turn
 * again, unless it has ended. A budget that is to be looked at for it gets a look.
 */
const FREE_CALL = `
create function free_call_budgets(call bigint, cost bigint, present timestamptz)
returns void language plpgsql security definer set search_path from current
${BY_INDEX} as $$
begin
  if not exists (select from open_call_budgets where call_id = call) then return; end if;
  perform from budget_spends s join open_call_budgets r using (budget_id, key, period_start)
    where r.call_id = call order by s.budget_id, s.key, s.period_start for update of s;
  update budget_holds h set nano_usd = h.nano_usd + greatest(0, r.held_nano_usd - cost) from open_call_budgets r
   where r.call_id = call and h.message_id = r.message_id and h.budget_id = r.budget_id and h.key = r.key and h.period_start = r.period_start;
  update budget_spends s
     set tokens_nano_usd = s.tokens_nano_usd + cost,
         reserved_nano_usd = s.reserved_nano_usd - r.nano_usd
                           + case when exists (select from budget_holds h where h.message_id = r.message_id and h.budget_id = r.budget_id
                                                  and h.key = r.key and h.period_start = r.period_start)
                                  then greatest(0, r.held_nano_usd - cost) else 0 end,
         look_at = case when cost > 0 and (s.burn_nano_usd_per_hour > 0
                                           or not s.is_reached and spent_by(s, present) + cost >= b.limit_nano_usd
                                           or not s.is_warned and (spent_by(s, present) + cost)::numeric * 100 >= b.limit_nano_usd::numeric * b.warn_at)
                        then least(s.look_at, present) else s.look_at end
    from open_call_budgets r join budgets b on b.id = r.budget_id
   where r.call_id = call and s.budget_id = r.budget_id and s.key = r.key and s.period_start = r.period_start;
  delete from open_call_budgets where call_id = call;
end $$;
`;

/** Ends what is reserved for turns, in the transaction that ends them. A trigger, because several statements end turns. */
const FREE_TURNS = `
create function free_turn_budgets(turns text[]) returns void language plpgsql security definer set search_path from current
${BY_INDEX} as $$
begin
  perform from budget_spends s where exists (
    select from budget_holds h where h.message_id = any(turns) and h.budget_id = s.budget_id and h.key = s.key and h.period_start = s.period_start)
    order by s.budget_id, s.key, s.period_start for update of s;
  update budget_spends s set reserved_nano_usd = s.reserved_nano_usd - h.nano_usd
    from (select budget_id, key, period_start, sum(nano_usd) as nano_usd from budget_holds where message_id = any(turns) group by 1, 2, 3) h
   where s.budget_id = h.budget_id and s.key = h.key and s.period_start = h.period_start;
  delete from budget_holds where message_id = any(turns);
end $$;

create function free_ended_turns() returns trigger language plpgsql security definer set search_path from current as $$
declare
  turns text[];
begin
  select array_agg(ended.id) into turns from ended
   where ended.status <> 'pending' and exists (select from budget_holds where message_id = ended.id);
  if turns is not null then perform free_turn_budgets(turns); end if;
  return null;
end $$;
create trigger messages_free_budgets after update on messages referencing new table as ended
  for each statement execute function free_ended_turns();
`;

/**
 * The reservation of a call takes room in the budgets that it counts for; where one has none, the call is refused and stored as such.
 * It runs as its owner, so that the relay needs no right to read messages, senders and sessions.
 */
const RESERVE = `
drop function reserve_model_call(text, text, text, text, text, int, int, float8, timestamptz);
create function reserve_model_call(account text, instance text, agent text, trace text, model_id text, input int, output int,
                                   kept_ms float8, present timestamptz,
                                   out call_id bigint, out refused_by text, out budget_name text, out budget_period text)
language plpgsql security definer set search_path from current as $$
declare
  begun timestamptz(3) := date_trunc('milliseconds', coalesce(present, now()));
  priced timestamptz(3) := (select max(starts_at) from model_prices where model = model_id and starts_at <= begun);
  turn record;
begin
  select reply.id, reply.key_id, said.sender_id, nullif(talk.session_id, '') as session_id into turn
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
  insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens, at, begun_at, priced_from, refused_by)
  select account, instance, agent, turn.id, model_id, 0, 0, begun, begun, priced, refused_by where turn.id is not null;
end $$;
`;

/** A call that is removed without having been settled has used nothing. A trigger, because relay and sweeps remove calls. */
const RELEASE = `
create function free_removed_call() returns trigger language plpgsql security definer set search_path from current as $$
begin
  perform free_call_budgets(old.id, 0, now());
  return null;
end $$;
create trigger open_model_calls_free_budgets after delete on open_model_calls for each row execute function free_removed_call();
`;

/**
 * As before, and what the call cost is counted in the budgets in which it was reserved: before its row is removed, which would free
 * them. Locks the row, then what is spent of the budgets.
 */
const SETTLE = `
create or replace function settle_model_call(call_id bigint, input int, output int, cache_read int, cache_write int, thinking int,
                                  reason text, provider_name text, upstream_name text, present timestamptz)
returns boolean language plpgsql security definer set search_path from current as $$
declare
  call open_model_calls;
  prices model_prices;
  ended timestamptz(3) := date_trunc('milliseconds', coalesce(present, now()));
  cost bigint;
begin
  select * into call from open_model_calls where id = call_id for update;
  if not found then return false; end if;
  select * into prices from model_prices where model = call.model and starts_at = call.priced_from;
  cost := coalesce(token_cost(prices, input, output, cache_read, cache_write), 0);
  perform free_call_budgets(call_id, cost, ended);
  delete from open_model_calls where id = call_id;
  insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens, cache_read_tokens,
                           cache_write_tokens, thinking_tokens, finish_reason, provider, upstream, at, begun_at, priced_from, cost_nano_usd)
  values (call.account_id, call.instance_id, call.agent_id,
          (select id from messages where trace_id = call.trace_id and agent_id = call.agent_id), call.model, input, output, cache_read,
          cache_write, thinking, reason, provider_name, upstream_name, ended, call.begun_at, call.priced_from, cost);
  if cost > 0 then
    insert into token_charges as known (agent_id, model, hour, account_id, cost_nano_usd, calls)
    values (call.agent_id, call.model, date_bin('1 hour', ended, 'epoch'), call.account_id, cost, 1)
    on conflict (agent_id, model, hour) do update
       set cost_nano_usd = known.cost_nano_usd + excluded.cost_nano_usd, calls = known.calls + 1, reckoned = false;
  end if;
  return true;
end $$;
`;

/** Customers cap what they spend, and what is spent is counted in the statements that reserve and settle a model call. */
export class Budgets extends Migration {
  override up(): void {
    for (const sql of [TABLES, PERIOD, MATCHING, SPENT, MOST, TAKE, FREE_CALL, FREE_TURNS, RESERVE, RELEASE, SETTLE])
      this.addSql(sql);
  }

  override down(): void {
    throw new Error('What budgets have counted cannot be kept without them: restore a backup instead.');
  }
}
