import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';

interface Make {
  /** The kind of the driver. */
  driver: string;
  /** Of that driver. */
  pin: string;
}

/** Writes down what the gateway that is about to be started for this runtime is made of. */
export async function noteMake(em: EntityManager, runtimeId: string, { driver, pin }: Make): Promise<void> {
  await db(em).updateTable('Runtime').set({ driver, pin }).where('id', '=', runtimeId).execute();
}

/** What the last gateway of this runtime was made of; null when that is not known. */
export async function findPin(em: EntityManager, runtimeId: string): Promise<string | null> {
  const row = await db(em).selectFrom('Runtime').select('pin').where('id', '=', runtimeId).executeTakeFirst();
  return row?.pin ?? null;
}
