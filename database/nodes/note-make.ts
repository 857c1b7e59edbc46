import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

interface Make {
  /** The kind of the driver. */
  driver: string;
  /** Of that driver. */
  pin: string;
}

/** Writes down what the gateway that is about to be started for this runtime is made of. */
export async function noteMake(em: EntityManager, runtimeId: string, { driver, pin }: Make): Promise<void> {
  await run(em, sql`update runtimes set driver = ${driver}, pin = ${pin} where id = ${runtimeId}`);
}

/** What the last gateway of this runtime was made of; null when that is not known. */
export async function findPin(em: EntityManager, runtimeId: string): Promise<string | null> {
  const [row] = await query<{ pin: string | null }>(em, sql`select pin from runtimes where id = ${runtimeId}`);
  return row?.pin ?? null;
}
