import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

const TRIES = 5;
const SENDS_PER_HOUR = 5;
const PAUSE = sql`interval '60 seconds'`;
const LIFETIME = sql`interval '10 minutes'`;

interface NewCode {
  accountId: string;
  codeHash: string;
  now: Date;
}

/**
 * Makes this the one live code of the account, for ten minutes and five tries. False, and nothing changed, when a code
 * was sent less than 60 s ago, or five within the hour.
 */
export async function storeLoginCode(em: EntityManager, { accountId, codeHash, now }: NewCode): Promise<boolean> {
  const rows = await query<{ account_id: string }>(
    em,
    sql`insert into login_codes as live (account_id, code_hash, expires_at, tries_left, consumed_at, sent_at)
     values (${accountId}, ${codeHash}, ${now}::timestamptz + ${LIFETIME}, ${TRIES}, null, array[${now}::timestamptz])
     on conflict (account_id) do update
        set code_hash = excluded.code_hash, expires_at = excluded.expires_at, tries_left = excluded.tries_left,
            consumed_at = null,
            sent_at = excluded.sent_at || array(select at from unnest(live.sent_at) at where at > excluded.sent_at[1] - interval '1 hour')
      where not exists (select from unnest(live.sent_at) at where at > excluded.sent_at[1] - ${PAUSE})
        and (select count(*) from unnest(live.sent_at) at where at > excluded.sent_at[1] - interval '1 hour') < ${SENDS_PER_HOUR}
     returning account_id`,
  );
  return rows.length > 0;
}

/** The account of this address and the hash of its live code; null when there is no account. */
export async function findLoginCode(em: EntityManager, email: string) {
  const [row] = await query<{ accountId: string; codeHash: string | null }>(
    em,
    sql`select accounts.id as "accountId", login_codes.code_hash as "codeHash"
       from accounts left join login_codes on login_codes.account_id = accounts.id
      where accounts.email = ${email}`,
  );
  return row ?? null;
}

interface Try {
  accountId: string;
  codeHash: string;
  matches: boolean;
  now: Date;
}

/** Spends one try of the live code, and the code itself when the try matches. False when the code is not live any more. */
export async function spendTry(em: EntityManager, { accountId, codeHash, matches, now }: Try): Promise<boolean> {
  const rows = await query<{ account_id: string }>(
    em,
    sql`update login_codes
        set tries_left = tries_left - 1, consumed_at = case when ${matches}::boolean then ${now}::timestamptz end
      where account_id = ${accountId} and code_hash = ${codeHash} and consumed_at is null and tries_left > 0 and expires_at > ${now}
      returning account_id`,
  );
  return rows.length > 0;
}
