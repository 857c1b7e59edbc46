import type { EntityManager } from '@mikro-orm/postgresql';
import { secretPlace } from '../secret-place.ts';
import { webhookPlace } from '../webhook-place.ts';
import { query, run, sql } from '../sql.ts';

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
  const [tables] = await query<{ isOurs: boolean; isMarked: boolean }>(
    em,
    sql`select to_regclass('instances') is not null as "isOurs", to_regclass('installation') is not null as "isMarked"`,
  );
  if (!tables?.isOurs)
    return { hasTables: false, id: null, isClaimed: false, hasAccounts: false, hasStorage: false, canaries: {} };
  const [use] = await query<{ hasAccounts: boolean; hasStorage: boolean }>(
    em,
    sql`select exists (select from accounts) as "hasAccounts",
            exists (select from instances where deleted_at is null and epoch > 0) as "hasStorage"`,
  );
  const used = { hasTables: true, hasAccounts: use?.hasAccounts ?? false, hasStorage: use?.hasStorage ?? false };
  if (!tables.isMarked) return { id: null, isClaimed: false, ...used, canaries: {} };
  const [mark] = await query<{ id: string; isClaimed: boolean }>(
    em,
    sql`select id, claimed_at is not null as "isClaimed" from installation`,
  );
  const canaries = await query<{ keyId: string; sealed: string }>(em, sql`select key_id as "keyId", sealed from key_canaries`);
  return {
    id: mark?.id ?? null,
    isClaimed: mark?.isClaimed ?? false,
    ...used,
    canaries: Object.fromEntries(canaries.map(({ keyId, sealed }) => [keyId, sealed])),
  };
}

/** Whether an instance, also a deleted one, has one of these runtimes. The tables must be there. */
export async function countKnownRuntimes(em: EntityManager, runtimeIds: readonly string[]): Promise<number> {
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::int as count from instances where runtime_id in (select jsonb_array_elements_text(${JSON.stringify(runtimeIds)}::jsonb))`,
  );
  return row?.count ?? 0;
}

/** One sealed value of each kind that the database holds, with its place. */
export async function findSealedSamples(em: EntityManager): Promise<{ place: string; value: string }[]> {
  const [tables] = await query<{ areThere: boolean }>(
    em,
    sql`select to_regclass('webhooks') is not null and to_regclass('instance_secrets') is not null as "areThere"`,
  );
  if (!tables?.areThere) return [];
  const webhooks = await query<{ id: string; value: string }>(
    em,
    sql`select id, secret as value from webhooks where secret <> '' order by created_at desc limit 1`,
  );
  const secrets = await query<{ accountId: string; instanceId: string; key: string; value: string }>(
    em,
    sql`select account_id as "accountId", instance_id as "instanceId", key, value
       from instance_secrets join instances on instances.id = instance_id limit 1`,
  );
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
  await run(em, sql`update installation set id = ${id}, claimed_at = coalesce(claimed_at, now())`);
  for (const [keyId, sealed] of Object.entries(canaries))
    await run(em, sql`insert into key_canaries (key_id, sealed) values (${keyId}, ${sealed}) on conflict do nothing`);
}

/** Adds the proofs of relay keys that have none. Repeatable. */
export async function proveRelayKeys(em: EntityManager, canaries: Mark['canaries']): Promise<void> {
  for (const [keyId, sealed] of Object.entries(canaries))
    await run(em, sql`update key_canaries set relay_sealed = ${sealed} where key_id = ${keyId} and relay_sealed is null`);
}

/** The database belongs to this DATA_DIR, and the proofs of these keys take the place of all earlier ones. For an operator's decision only. */
export async function adoptDatabase(em: EntityManager, mark: Mark): Promise<void> {
  await run(em, sql`delete from key_canaries`);
  await claimDatabase(em, mark);
}
