import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

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
