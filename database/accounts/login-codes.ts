import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { LoginCode } from '../entities/login-code.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import { run, sql } from '../sql.ts';
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

const code = columns(LoginCode);

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
  const live = columns(LoginCode, 'live');
  const excluded = columns(LoginCode, 'excluded');
  const recent = sql`from unnest(${live.sentAt}) at where at > ${excluded.sentAt}[1]`;
  const stored = await fetchRow(
    em,
    { accountId: live.account },
    (fields) => sql`
      with known as (
        select from requester_login_codes
         where ${code.account} = ${accountId} and ${code.requester} = ${requester} and ${isKnown(now)}
      ), sent_to_unknown as (
        select count(*) as times from requester_login_codes, unnest(${code.sentAt}) at
         where ${code.account} = ${accountId} and at > ${now}::timestamptz - ${COUNTED} and not ${isKnown(now)}
      )
      insert into requester_login_codes as live (${code.account}, ${code.requester}, ${code.codeHash}, ${code.expiresAt}, ${code.triesLeft},
                                                 ${code.consumedAt}, ${code.sentAt})
      select ${accountId}, ${requester}, ${codeHash}, ${now}::timestamptz + ${LIFETIME}, ${TRIES}::int, null, array[${now}::timestamptz]
        from sent_to_unknown
       where exists (select from known) or times < ${SENDS_TO_UNKNOWN}
      on conflict (${code.account}, ${code.requester}) do update
         set ${code.codeHash} = ${excluded.codeHash}, ${code.expiresAt} = ${excluded.expiresAt}, ${code.triesLeft} = ${excluded.triesLeft},
             ${code.consumedAt} = null, ${code.sentAt} = ${excluded.sentAt} || array(select at ${recent} - ${COUNTED})
       where not exists (select ${recent} - ${PAUSE}) and (select count(*) ${recent} - ${COUNTED}) < ${SENDS_PER_REQUESTER}
      returning ${fields}`,
  );
  return stored !== null;
}

/** The requester has logged in to the account within the time for which it counts as known. */
const isKnown = (now: Date): Sql => sql`coalesce(${code.provenAt} > ${now}::timestamptz - ${KNOWN_FOR}, false)`;

/** Removes requesters that no limit depends on any more, so that an account has few of them. */
async function forgetRequesters(em: EntityManager, { accountId, now }: Pick<NewCode, 'accountId' | 'now'>): Promise<void> {
  await run(
    em,
    sql`with known as (
          select ${code.requester} from requester_login_codes where ${code.account} = ${accountId} and ${isKnown(now)}
           order by ${code.provenAt} desc limit ${KNOWN_REQUESTERS}
        )
        delete from requester_login_codes
         where ${code.account} = ${accountId} and ${code.expiresAt} < ${now}::timestamptz - ${COUNTED}
           and ${code.requester} not in (select ${code.requester} from known)`,
  );
}

/**
 * Removes one batch of requesters that no limit depends on any more: they were sent no code for over an hour, and have not
 * logged in for 90 days. Says how many.
 */
export async function removeOldRequesters(em: EntityManager, { now, limit }: { now: Date; limit: number }): Promise<number> {
  return run(
    em,
    sql`delete from requester_login_codes where (${code.account}, ${code.requester}) in (
          select ${code.account}, ${code.requester} from requester_login_codes
           where ${code.expiresAt} < ${now}::timestamptz - ${COUNTED} and not ${isKnown(now)} limit ${limit})`,
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
  return sql`${code.consumedAt} is null and ${code.expiresAt} > ${now}
        and ${code.triesLeft} > case when ${code.requester} = ${requester} then 0 else ${TRIES - TRIES_OF_OTHERS}::int end`;
}

/**
 * The account and the hashes of the codes that this requester may try: the live one that it asked for, and the newest live
 * one that others asked for, if they have tries of it left. Null when there is no account, or it was deleted.
 */
export async function findLoginCodes(em: EntityManager, { account, requester, now }: Login) {
  const { id, email, deletedAt } = columns(Account, 'accounts');
  const isAccount = 'id' in account ? sql`${id} = ${account.id}` : sql`${email} = ${account.email}`;
  const codeHashes = sql<string[]>`array(
    select ${code.codeHash}
      from (select ${code.codeHash}, row_number() over (partition by ${code.requester} = ${requester} order by ${code.expiresAt} desc) as place
              from requester_login_codes where ${code.account} = ${id} and ${isOpenTo(requester, now)}) open
     where place = 1)`;
  return fetchRow(
    em,
    { accountId: id, codeHashes },
    (fields) => sql`select ${fields} from accounts where ${isAccount} and ${deletedAt} is null`,
  );
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
  const tried = await fetchRows(
    em,
    { codeHash: code.codeHash },
    (fields) => sql`
      update requester_login_codes
         set ${code.triesLeft} = ${code.triesLeft} - 1,
             ${code.provenAt} = case when ${code.codeHash} = ${matched} and ${code.requester} = ${requester} then ${now}::timestamptz else ${code.provenAt} end
       where ${code.account} = ${accountId} and ${code.codeHash} = any(${[...codeHashes]}) and ${isOpenTo(requester, now)}
      returning ${fields}`,
  );
  if (!tried.some(({ codeHash }) => codeHash === matched)) return false;
  await db(em)
    .updateTable('LoginCode')
    .set({ consumedAt: now })
    .where('account', '=', accountId)
    .where('consumedAt', 'is', null)
    .execute();
  return true;
}
