/** What a row costs beside its texts: its other columns, its head and its places in indexes. */
const ROW_BYTES = 256;

const EVENTS = [
  ['insert', 'new table as added'],
  ['delete', 'old table as removed'],
  ['update', 'new table as added old table as removed'],
];

/**
 * The statements by which a table with an `account_id` counts in what its account stores, from its first row on: each
 * row, and these texts of a row `r` that may be long. See the migration of stored bytes.
 */
export function countStoredBytes(table: string, texts: readonly string[]): string[] {
  const bytes = [String(ROW_BYTES), ...texts.map((text) => `octet_length(coalesce(${text}, ''))`)].join(' + ');
  const added = `select r.account_id, ${bytes} as bytes from added r`;
  const removed = `select r.account_id, -(${bytes}) as bytes from removed r`;
  const note = (changes: string) => `
    insert into stored_bytes_changes (account_id, bytes)
    select account_id, sum(bytes) from (${changes}) change group by account_id having sum(bytes) <> 0;`;
  const counting = `
create function count_${table}() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op = 'INSERT' then ${note(added)}
  elsif tg_op = 'DELETE' then ${note(removed)}
  else ${note(`${added} union all ${removed}`)}
  end if;
  return null;
end $$`;
  const triggers = EVENTS.map(
    ([event, rows]) =>
      `create trigger ${table}_count_${event} after ${event} on ${table} referencing ${rows}
         for each statement execute function count_${table}()`,
  );
  return [counting, ...triggers];
}
