import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const TRIES = 5;
/** How many of the five tries all requesters other than the one that asked for the code may use, together. */
const TRIES_OF_OTHERS = 2;
const LIFETIME = sql`interval '10 minutes'`;
const PAUSE = sql`interval '60 seconds'`;
const COUNTED = sql`interval '1 hour'`;
const SENDS_PER_REQUESTER = 5;
/** Of all requesters together that have not logged in to the account before. */
const SENDS_TO_UNKNOWN = 10;
/** How long a requester counts as known after a login, and how many of them an account has. */
const KNOWN_FOR = sql`interval '90 days'`;
const KNOWN_REQUESTERS = 20;
const LOCK_SEED = 724_310_379;

interface NewCode {
  accountId: string;
  /** The block of addresses that asks. */
  requester: string;
  codeHash: string;
  now: Date;
}

/**
 * Makes this the one live code that this requester has for the account, for ten minutes and five tries. False, and
 * nothing changed, when it had one less than 60 s ago or five within the hour, or when it has never logged in to the
 * account and requesters like it had ten within the hour. To be called in a transaction.
 */
export async function storeLoginCode(em: EntityManager, { accountId, requester, codeHash, now }: NewCode): Promise<boolean> {
  await run(em, sql`select pg_advisory_xact_lock(hashtextextended(${accountId}, ${LOCK_SEED}))`);
  await forgetRequesters(em, { accountId, now });
  const rows = await query<{ account_id: string }>(
    em,
    sql`with given as (select ${accountId}::text as account_id, ${requester}::text as requester, ${now}::timestamptz as now),
          known as (select from requester_login_codes natural join given where proven_at > now - ${KNOWN_FOR}),
          sent_to_unknown as (
            select count(*) as times from requester_login_codes codes, given, unnest(sent_at) at
             where codes.account_id = given.account_id and at > now - ${COUNTED}
               and (proven_at is null or proven_at <= now - ${KNOWN_FOR}))
     insert into requester_login_codes as live (account_id, requester, code_hash, expires_at, tries_left, consumed_at, sent_at)
     select account_id, requester, ${codeHash}, now + ${LIFETIME}, ${TRIES}::int, null, array[now]
       from given, sent_to_unknown
      where exists (select from known) or times < ${SENDS_TO_UNKNOWN}
     on conflict (account_id, requester) do update
        set code_hash = excluded.code_hash, expires_at = excluded.expires_at, tries_left = excluded.tries_left,
            consumed_at = null,
            sent_at = excluded.sent_at || array(select at from unnest(live.sent_at) at where at > excluded.sent_at[1] - ${COUNTED})
      where not exists (select from unnest(live.sent_at) at where at > excluded.sent_at[1] - ${PAUSE})
        and (select count(*) from unnest(live.sent_at) at where at > excluded.sent_at[1] - ${COUNTED}) < ${SENDS_PER_REQUESTER}
     returning account_id`,
  );
  return rows.length > 0;
}

/** Removes requesters that no limit depends on any more, so that an account has few of them. */
async function forgetRequesters(em: EntityManager, { accountId, now }: Pick<NewCode, 'accountId' | 'now'>): Promise<void> {
  await run(
    em,
    sql`with given as (select ${accountId}::text as account_id, ${now}::timestamptz as now),
          known as (select requester from requester_login_codes natural join given where proven_at > now - ${KNOWN_FOR}
                     order by proven_at desc limit ${KNOWN_REQUESTERS})
     delete from requester_login_codes codes using given
      where codes.account_id = given.account_id and expires_at < now - ${COUNTED}
        and codes.requester not in (select requester from known)`,
  );
}

/**
 * Removes one batch of requesters that no limit depends on any more: they were sent no code for over an hour, and have not
 * logged in for 90 days. Says how many.
 */
export async function removeOldRequesters(em: EntityManager, { now, limit }: { now: Date; limit: number }): Promise<number> {
  return run(
    em,
    sql`delete from requester_login_codes where (account_id, requester) in (
       select account_id, requester from requester_login_codes
        where expires_at < ${now}::timestamptz - ${COUNTED}
          and (proven_at is null or proven_at <= ${now}::timestamptz - ${KNOWN_FOR})
        limit ${limit})`,
  );
}

interface Login {
  /** The account that the requester claims to own: by its email address, or by the id that its credentials name. */
  account: { email: string } | { id: string };
  requester: string;
  now: Date;
}

/** The codes that are valid now and that this requester may still try. */
function isOpenTo(requester: string, now: Date): Sql {
  return sql`consumed_at is null and expires_at > ${now}
        and tries_left > case when requester = ${requester} then 0 else ${TRIES - TRIES_OF_OTHERS}::int end`;
}

/**
 * The account and the hashes of the codes that this requester may try: the live one that it asked for, and the newest live
 * one that others asked for, if they have tries of it left. Null when there is no account, or it was deleted.
 */
export async function findLoginCodes(em: EntityManager, { account, requester, now }: Login) {
  const isAccount = 'id' in account ? sql`accounts.id = ${account.id}` : sql`accounts.email = ${account.email}`;
  const [row] = await query<{ accountId: string; codeHashes: string[] }>(
    em,
    sql`select accounts.id as "accountId", array(
         select code_hash
           from (select code_hash, row_number() over (partition by requester = ${requester} order by expires_at desc) as place
                   from requester_login_codes where account_id = accounts.id and ${isOpenTo(requester, now)}) open
          where place = 1) as "codeHashes"
       from accounts where ${isAccount} and accounts.deleted_at is null`,
  );
  return row ?? null;
}

interface Try {
  accountId: string;
  requester: string;
  codeHashes: readonly string[];
  /** The one of them that was given; null: none. */
  matched: string | null;
  now: Date;
}

/**
 * Spends one try of each of these codes, and every code of the account when one matched; the account knows a requester
 * whose own code matched. False when none matched, or that one is not live any more, or not for this requester.
 */
export async function spendTry(em: EntityManager, { accountId, requester, codeHashes, matched, now }: Try): Promise<boolean> {
  const tried = await query<{ codeHash: string }>(
    em,
    sql`update requester_login_codes
        set tries_left = tries_left - 1,
            proven_at = case when code_hash = ${matched} and requester = ${requester} then ${now}::timestamptz else proven_at end
      where account_id = ${accountId} and code_hash = any(${[...codeHashes]}) and ${isOpenTo(requester, now)}
      returning code_hash as "codeHash"`,
  );
  if (!tried.some(({ codeHash }) => codeHash === matched)) return false;
  await run(
    em,
    sql`update requester_login_codes set consumed_at = ${now} where account_id = ${accountId} and consumed_at is null`,
  );
  return true;
}
