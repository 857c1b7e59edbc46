import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table stored_bytes (
  account_id text not null primary key,
  bytes bigint not null
);
create table stored_bytes_changes (
  id bigint generated always as identity primary key,
  account_id text not null,
  bytes bigint not null
);
create index stored_bytes_changes_account_index on stored_bytes_changes (account_id);
`;

/** What a row costs beside its texts: its other columns, its head and its places in indexes. */
const ROW_BYTES = 256;

interface CountedTable {
  table: string;
  /** The account of a row `r`; null where it belongs to none. */
  account: string;
  /** The texts of a row `r` that may be long. */
  texts: string[];
}

const OF_INSTANCE = '(select account_id from instances where instances.id = r.instance_id)';

/** Every table that what a customer or its gateways do can make grow, but for those that are kept for a time only. */
const COUNTED: CountedTable[] = [
  { table: 'instances', account: 'r.account_id', texts: [] },
  { table: 'agents', account: 'r.account_id', texts: [] },
  {
    table: 'conversations',
    account: '(select account_id from agents where agents.id = r.agent_id)',
    texts: [],
  },
  { table: 'messages', account: 'r.account_id', texts: ['content'] },
  { table: 'events', account: 'r.account_id', texts: ['content', 'data'] },
  { table: 'api_keys', account: 'r.account_id', texts: [] },
  { table: 'agent_files', account: '(select account_id from agents where agents.id = r.agent_id)', texts: ['content'] },
  { table: 'instance_secrets', account: OF_INSTANCE, texts: ['value'] },
  { table: 'cron_jobs', account: OF_INSTANCE, texts: ['message'] },
  {
    table: 'skill_files',
    account: `(select account_id from instance_skills join instances on instances.id = instance_id
                where instance_skills.id = r.skill_id)`,
    texts: ['content'],
  },
  {
    table: 'webhook_deliveries',
    account: '(select account_id from webhooks where webhooks.id = r.webhook_id)',
    texts: ['body'],
  },
  {
    table: 'webhook_attempts',
    account: `(select account_id from webhook_deliveries join webhooks on webhooks.id = webhook_id
                where webhook_deliveries.id = r.delivery_id)`,
    texts: ['response'],
  },
  {
    table: 'idempotency_records',
    account: `(case when r.caller like 'acc\\_%' then r.caller end)`,
    texts: ['answer'],
  },
];

function bytesOf({ texts }: CountedTable): string {
  return [String(ROW_BYTES), ...texts.map((text) => `octet_length(coalesce(r.${text}, ''))`)].join(' + ');
}

/**
 * Notes by how much the rows of one statement have changed what each account stores, in the statement's transaction. With
 * the rights of the owner of the tables: who writes one of them need not be allowed to change what is counted.
 */
function counting(counted: CountedTable): string {
  const { table, account, texts } = counted;
  const bytes = bytesOf(counted);
  const added = `select ${account} as account_id, ${bytes} as bytes from added r`;
  const removed = `select ${account} as account_id, -(${bytes}) as bytes from removed r`;
  const note = (changes: string) => `
    insert into stored_bytes_changes (account_id, bytes)
    select account_id, sum(bytes) from (${changes}) change
     where account_id is not null group by account_id having sum(bytes) <> 0;`;
  const on = (event: string, rows: string) =>
    `create trigger ${table}_count_${event} after ${event} on ${table} referencing ${rows}
       for each statement execute function count_${table}();`;
  return `
create function count_${table}() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op = 'INSERT' then ${note(added)}
  elsif tg_op = 'DELETE' then ${note(removed)}
  else ${note(`${added} union all ${removed}`)}
  end if;
  return null;
end $$;
${on('insert', 'new table as added')}
${on('delete', 'old table as removed')}
${texts.length > 0 ? on('update', 'new table as added old table as removed') : ''}`;
}

/** Rows that go with others go before them: afterwards nothing tells whose they were. */
const CHILDREN_FIRST = [
  { parent: 'instance_skills', child: 'skill_files', key: 'skill_id' },
  { parent: 'webhook_deliveries', child: 'webhook_attempts', key: 'delivery_id' },
].map(
  ({ parent, child, key }) => `
create function remove_${child}_first() returns trigger language plpgsql security definer set search_path from current as $$
begin
  delete from ${child} where ${key} = old.id;
  return old;
end $$;
create trigger ${parent}_remove_children before delete on ${parent}
  for each row execute function remove_${child}_first();`,
);

const WHAT_IS_THERE = `
insert into stored_bytes (account_id, bytes)
select account_id, sum(bytes) from (
  ${COUNTED.map((counted) => `select ${counted.account} as account_id, (${bytesOf(counted)})::bigint as bytes from ${counted.table} r`).join(' union all ')}
) stored where account_id is not null group by account_id;`;

/** Without it the removal of an agent would look through all messages. */
const INDEX = 'create index messages_agent_index on messages (agent_id);';

/**
 * How much each account stores. Triggers note each change in a row of its own, so that no two transactions wait for each
 * other and no writer can forget it; a sweep adds them up.
 */
export class StoredBytes extends Migration {
  override up(): void {
    for (const sql of [TABLES, INDEX, ...COUNTED.map(counting), ...CHILDREN_FIRST, WHAT_IS_THERE]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
