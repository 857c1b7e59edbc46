import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type { Encryption } from '../../lib/crypto/encryption.ts';
import { runTransaction } from '../run-transaction.ts';
import { secretPlace } from '../secret-place.ts';
import { webhookPlace } from '../webhook-place.ts';
import { query, run, sql } from '../sql.ts';

const BATCH = 200;

/** One encrypted value and where it stands. */
interface Sealed {
  /** Names the row, for the update. */
  row: string[];
  place: string;
  value: string;
}

/** One column of encrypted values. */
interface Column {
  name: string;
  /** Rows that are encrypted under other keys than this one, locked, up to a limit. */
  find(em: EntityManager, activeKeyId: string, limit: number): Promise<Sealed[]>;
  count(em: EntityManager, activeKeyId: string): Promise<number>;
  update(em: EntityManager, row: readonly string[], value: string): Promise<void>;
}

const secrets: Column = {
  name: 'secrets',
  async find(em, activeKeyId, limit) {
    const rows = await query<{ accountId: string; instanceId: string; key: string; value: string }>(
      em,
      sql`select account_id as "accountId", instance_id as "instanceId", key, value
         from instance_secrets join instances on instances.id = instance_id
        where split_part(value, '.', 2) <> ${activeKeyId} order by instance_id, key limit ${limit} for update of instance_secrets`,
    );
    return rows.map(({ value, ...of }) => ({ row: [of.instanceId, of.key], place: secretPlace(of), value }));
  },
  count: (em, activeKeyId) => countOf(em, 'instance_secrets', 'value', activeKeyId),
  async update(em, row, value) {
    const [instanceId, key] = row;
    await run(em, sql`update instance_secrets set value = ${value} where instance_id = ${instanceId} and key = ${key}`);
  },
};

function webhookColumn(column: 'secret' | 'previous_secret', name: string): Column {
  return {
    name,
    async find(em, activeKeyId, limit) {
      const rows = await query<{ id: string; value: string }>(
        em,
        sql`select id, ${sql.ref(column)} as value from webhooks where split_part(${sql.ref(column)}, '.', 2) <> ${activeKeyId} order by id limit ${limit} for update`,
      );
      return rows.map(({ id, value }) => ({ row: [id], place: webhookPlace(id), value }));
    },
    count: (em, activeKeyId) => countOf(em, 'webhooks', column, activeKeyId),
    async update(em, row, value) {
      await run(em, sql`update webhooks set ${sql.ref(column)} = ${value} where id = ${row[0]}`);
    },
  };
}

async function countOf(em: EntityManager, table: string, column: string, activeKeyId: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::int as count from ${sql.table(table)} where split_part(${sql.ref(column)}, '.', 2) <> ${activeKeyId}`,
  );
  return row?.count ?? 0;
}

const COLUMNS: readonly Column[] = [
  secrets,
  webhookColumn('secret', 'webhook secrets'),
  webhookColumn('previous_secret', 'earlier webhook secrets'),
];

export interface RotationProgress {
  name: string;
  done: number;
  total: number;
}

interface Rotation {
  encryption: Encryption;
  activeKeyId: string;
  onProgress: (progress: RotationProgress) => void;
}

/**
 * Encrypts everything at rest that is under an older key with the active one, in transactions of bounded size, while
 * everything else goes on. It may be killed and begun again. Rejects when a value's key is not among the master keys.
 */
export async function rotateKeys(orm: MikroORM, { encryption, activeKeyId, onProgress }: Rotation): Promise<number> {
  let all = 0;
  for (const column of COLUMNS) {
    const total = await column.count(orm.em.fork(), activeKeyId);
    let done = 0;
    onProgress({ name: column.name, done, total });
    for (let found = BATCH; found === BATCH;) {
      found = await runTransaction(orm.em, async (em) => {
        const rows = await column.find(em, activeKeyId, BATCH);
        for (const { row, place, value } of rows)
          await column.update(em, row, encryption.encrypt(encryption.decrypt(value, place), place));
        return rows.length;
      });
      done += found;
      if (found > 0) onProgress({ name: column.name, done, total: Math.max(total, done) });
    }
    all += done;
  }
  return all;
}
