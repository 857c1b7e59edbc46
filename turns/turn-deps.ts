import type { MikroORM } from '@mikro-orm/postgresql';
import type { MakeId } from '../domain/ids.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** What everything that moves turns needs. */
export interface TurnDeps {
  orm: MikroORM;
  makeId: MakeId;
  clock: Clock;
  log: Log;
  /** How long a turn may run, from when it was first sent. */
  turnTimeoutMs: number;
}
