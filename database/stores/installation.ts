import type { EntityManager } from '@mikro-orm/postgresql';
import { secretPlace } from '../secret-place.ts';
import { webhookPlace } from '../webhook-place.ts';
import { db } from '../db.ts';
import { anyOf, asNumber, isThere, NOW, sql } from '../sql.ts';

/** What a database says of the installation that it belongs to. */
export interface DatabaseMark {
  /** It has tables of ours, though perhaps of an earlier version. */
  hasTables: boolean;
  /** Null: it has no tables, or those of an earlier version. */
  id: string | null;
  /** A DATA_DIR has this id. */
  isClaimed: boolean;
  hasAccounts: boolean;
  /** It has an instance that was started once, so that there must be storage somewhere. */
  hasStorage: boolean;
  canaries: Record<string, string>;
}

/** Reads the mark of a database in any state, an empty one or one of an earlier version too. Writes nothing. */
export async function readMark(em: EntityManager): Promise<DatabaseMark> {
  const { isOurs, isMarked } = await db(em)
    .selectNoFrom([
      sql<boolean>`to_regclass('instances') is not null`.as('isOurs'),
      sql<boolean>`to_regclass('installation') is not null`.as('isMarked'),
    ])
    .executeTakeFirstOrThrow();
  if (!isOurs) return { hasTables: false, id: null, isClaimed: false, hasAccounts: false, hasStorage: false, canaries: {} };
  const { hasAccounts, hasStorage } = await db(em)
    .selectNoFrom((eb) => [
      isThere(eb.selectFrom('Account')).as('hasAccounts'),
      isThere(eb.selectFrom('Instance').where('deletedAt', 'is', null).where('epoch', '>', 0)).as('hasStorage'),
    ])
    .executeTakeFirstOrThrow();
  const used = { hasTables: true, hasAccounts, hasStorage };
  if (!isMarked) return { id: null, isClaimed: false, ...used, canaries: {} };
  const mark = await db(em).selectFrom('Installation').select(['id', 'claimedAt']).executeTakeFirst();
  const canaries = await db(em).selectFrom('KeyCanary').select(['keyId', 'sealed']).execute();
  return {
    id: mark?.id ?? null,
    isClaimed: mark !== undefined && mark.claimedAt !== null,
    ...used,
    canaries: Object.fromEntries(canaries.map(({ keyId, sealed }) => [keyId, sealed])),
  };
}

/** Whether an instance, also a deleted one, has one of these runtimes. The tables must be there. */
export async function countKnownRuntimes(em: EntityManager, runtimeIds: readonly string[]): Promise<number> {
  const { count } = await db(em)
    .selectFrom('Instance')
    .select(({ fn }) => asNumber(fn.countAll()).as('count'))
    .where('runtimeId', '=', anyOf(runtimeIds))
    .executeTakeFirstOrThrow();
  return count;
}

/** One sealed value of each kind that the database holds, with its place. */
export async function findSealedSamples(em: EntityManager): Promise<{ place: string; value: string }[]> {
  const { areThere } = await db(em)
    .selectNoFrom(
      sql<boolean>`to_regclass('webhooks') is not null and to_regclass('instance_secrets') is not null`.as('areThere'),
    )
    .executeTakeFirstOrThrow();
  if (!areThere) return [];
  const webhooks = await db(em)
    .selectFrom('Webhook')
    .select(['id', 'secret as value'])
    .where('secret', '<>', '')
    .orderBy('createdAt', 'desc')
    .limit(1)
    .execute();
  const secrets = await db(em)
    .selectFrom('InstanceSecret as s')
    .innerJoin('Instance as i', 'i.id', 's.instance')
    .select(['i.account as accountId', 's.instance as instanceId', 's.key', 's.value'])
    .limit(1)
    .execute();
  return [
    ...webhooks.map(({ id, value }) => ({ place: webhookPlace(id), value })),
    ...secrets.map(({ value, ...of }) => ({ place: secretPlace(of), value })),
  ];
}

interface Mark {
  id: string;
  canaries: Readonly<Record<string, string>>;
}

/** Says that the DATA_DIR with this id belongs to the database, and adds proofs of keys that have none. Repeatable. */
export async function claimDatabase(em: EntityManager, { id, canaries }: Mark): Promise<void> {
  await db(em)
    .updateTable('Installation')
    .set((eb) => ({ id, claimedAt: eb.fn.coalesce('claimedAt', NOW) }))
    .execute();
  for (const [keyId, sealed] of Object.entries(canaries))
    await db(em)
      .insertInto('KeyCanary')
      .values({ keyId, sealed })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
}

/** Adds the proofs of relay keys that have none. Repeatable. */
export async function proveRelayKeys(em: EntityManager, canaries: Mark['canaries']): Promise<void> {
  for (const [keyId, sealed] of Object.entries(canaries))
    await db(em)
      .updateTable('KeyCanary')
      .set({ relaySealed: sealed })
      .where('keyId', '=', keyId)
      .where('relaySealed', 'is', null)
      .execute();
}

/** The database belongs to this DATA_DIR, and the proofs of these keys take the place of all earlier ones. For an operator's decision only. */
export async function adoptDatabase(em: EntityManager, mark: Mark): Promise<void> {
  await db(em).deleteFrom('KeyCanary').execute();
  await claimDatabase(em, mark);
}
