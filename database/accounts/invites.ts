import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

interface UsableInvite {
  /** Replaces the sign-up credit, in nano-dollars; null: it does not. */
  creditNanoUsd: bigint | null;
  /** It was made for this very address. */
  isBound: boolean;
}

/** Locks the invite for this transaction; null when it does not exist, is used up or expired, or is for another address. */
export async function lockInvite(em: EntityManager, code: string, email: string, now: Date): Promise<UsableInvite | null> {
  const [row] = await query<{ credit: string | null; bound: boolean }>(
    em,
    sql`select credit_nano_usd::text as credit, email is not null as bound
       from invites
      where code = ${code} and used_count < max_uses and (expires_at is null or expires_at > ${now}) and (email is null or email = ${email})
        for update`,
  );
  if (!row) return null;
  return { creditNanoUsd: row.credit === null ? null : BigInt(row.credit), isBound: row.bound };
}

/** Counts one use of an invite that is locked. */
export async function countInviteUse(em: EntityManager, code: string): Promise<void> {
  await run(em, sql`update invites set used_count = used_count + 1 where code = ${code}`);
}
