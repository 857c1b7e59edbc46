import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table model_prices (
  model text not null,
  starts_at timestamptz(3) not null,
  input_nano_usd bigint not null,
  output_nano_usd bigint not null,
  cache_read_nano_usd bigint not null,
  cache_write_nano_usd bigint not null,
  primary key (model, starts_at)
);
alter table model_prices add constraint model_prices_not_negative
  check (least(input_nano_usd, output_nano_usd, cache_read_nano_usd, cache_write_nano_usd) >= 0);

alter table open_model_calls
  add column begun_at timestamptz(3) not null default now(),
  add column priced_from timestamptz(3) null;
alter table model_calls
  add column begun_at timestamptz(3) null,
  add column priced_from timestamptz(3) null,
  add column cost_nano_usd bigint not null default '0';

create table token_charges (
  agent_id text not null,
  model text not null,
  hour timestamptz(3) not null,
  account_id text not null,
  cost_nano_usd bigint not null,
  calls int not null,
  reckoned boolean not null default false,
  primary key (agent_id, model, hour)
);
create index token_charges_account_index on token_charges (account_id);
create index token_charges_unreckoned_index on token_charges (account_id) where not reckoned;

alter table transfers add column agent_id text null, add column model text null, add column calls int null;
create index transfers_tokens_index on transfers (agent_id, model, span_from) where agent_id is not null;
alter table transfers drop constraint transfers_debit_has_span;
alter table transfers add constraint transfers_debit_has_span check (kind <> 'debit' or (span_from < span_to and
  (interval_id is not null and price_nano_usd_per_hour is not null or agent_id is not null and model is not null and calls is not null)));
`;

/** What a call costs at these prices, in whole nano-dollars; null without prices. Cached input is a part of the input. */
const COST = `
create function token_cost(prices model_prices, input bigint, output bigint, cache_read bigint, cache_write bigint)
returns bigint language sql immutable as $$
  select floor((greatest(input - cache_read - cache_write, 0)::numeric * (prices).input_nano_usd + output::numeric * (prices).output_nano_usd
                + cache_read::numeric * (prices).cache_read_nano_usd + cache_write::numeric * (prices).cache_write_nano_usd) / 1000000)::bigint
$$;
`;

/**
 * Writes down what a model call may use, before it goes out, and which prices it has: those that apply at its beginning.
 * Answers its id. "present" null: the database's own time.
 */
const RESERVE = `
create function reserve_model_call(account text, instance text, agent text, trace text, model_id text, input int, output int,
                                   kept_ms float8, present timestamptz) returns bigint language sql as $$
  insert into open_model_calls (account_id, instance_id, agent_id, trace_id, model, input_tokens, output_tokens, expires_at,
                                begun_at, priced_from)
  select account, instance, agent, trace, model_id, input, output, begun + kept_ms * interval '1 ms', begun,
         (select max(starts_at) from model_prices where model = model_id and starts_at <= begun)
    from (select date_trunc('milliseconds', coalesce(present, now())) as begun) clock
  returning id
$$;
`;

/**
 * Puts what a call used in place of what was reserved, and charges it: one row for each agent, model and hour, which a sweep
 * turns into a ledger line. False, and nothing changed, when the call was settled before.
 */
const SETTLE = `
create function settle_model_call(call_id bigint, input int, output int, cache_read int, cache_write int, thinking int,
                                  reason text, provider_name text, upstream_name text, present timestamptz)
returns boolean language plpgsql as $$
declare
  call open_model_calls;
  prices model_prices;
  ended timestamptz(3) := date_trunc('milliseconds', coalesce(present, now()));
  cost bigint;
begin
  delete from open_model_calls where id = call_id returning * into call;
  if not found then return false; end if;
  select * into prices from model_prices where model = call.model and starts_at = call.priced_from;
  cost := coalesce(token_cost(prices, input, output, cache_read, cache_write), 0);
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

/** Tokens have prices, which apply from their moment on, and what they cost is debited by agent, model and hour. */
export class TokenPrices extends Migration {
  override up(): void {
    for (const sql of [TABLES, COST, RESERVE, SETTLE]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('Ledger lines of tokens cannot be taken back: restore a backup instead.');
  }
}
