import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';

interface UsableInvite {
  /** Replaces the sign-up credit, in nano-dollars; null: it does not. */
  creditNanoUsd: bigint | null;
  /** It was made for this very address. */
  isBound: boolean;
}

/** Locks the invite for this transaction; null when it does not exist, is used up or expired, or is for another address. */
export async function lockInvite(em: EntityManager, code: string, email: string, now: Date): Promise<UsableInvite | null> {
  const invite = await db(em)
    .selectFrom('Invite')
    .select(['creditNanoUsd', 'email'])
    .where('code', '=', code)
    .whereRef('usedCount', '<', 'maxUses')
    .where((eb) => eb.or([eb('expiresAt', 'is', null), eb('expiresAt', '>', now)]))
    .where((eb) => eb.or([eb('email', 'is', null), eb('email', '=', email)]))
    .forUpdate()
    .executeTakeFirst();
  return invite ? { creditNanoUsd: invite.creditNanoUsd, isBound: invite.email !== null } : null;
}

/** Counts one use of an invite that is locked. */
export async function countInviteUse(em: EntityManager, code: string): Promise<void> {
  await db(em)
    .updateTable('Invite')
    .set((eb) => ({ usedCount: eb('usedCount', '+', 1) }))
    .where('code', '=', code)
    .execute();
}
