import type { MikroORM } from '@mikro-orm/postgresql';
import type { MakeId } from '../domain/ids.ts';
import type { Clock } from '../lib/async/clock.ts';
import type { Config } from '../lib/settings/config.ts';
import type { Log } from '../lib/log.ts';
import type { MasterKey } from '../runtime/engine.ts';

/** The dependencies of all functions that change turns. */
export interface TurnDeps {
  orm: MikroORM;
  makeId: MakeId;
  clock: Clock;
  log: Log;
  /** How long a turn may run, from when it was first sent. */
  turnTimeoutMs: number;
  /** How many bytes one account may store. */
  maxStoredBytes: number;
  pauses: TurnPauses;
  /** For what steps must not show: secrets are encrypted with them, and gateways' tokens made of them. */
  masterKeys: readonly MasterKey[];
}

/** How long to wait before a gateway is asked about a turn again. */
export interface TurnPauses {
  /** Without an event of a turn that has begun, and of one that has not. */
  begunMs: number;
  unbegunMs: number;
  /** After a refusal by a gateway that is broken. */
  brokenMs: number;
}

export const TURN_PAUSES: TurnPauses = { begunMs: 30_000, unbegunMs: 10_000, brokenMs: 5_000 };

const MEBIBYTE = 1024 ** 2;

/** What the settings say about turns, and the pauses, which are no setting. */
export function turnSettings({
  TURN_TIMEOUT_MS,
  MAX_STORED_MB_PER_ACCOUNT,
  MASTER_KEYS,
}: Pick<Config, 'TURN_TIMEOUT_MS' | 'MAX_STORED_MB_PER_ACCOUNT' | 'MASTER_KEYS'>): Pick<
  TurnDeps,
  'turnTimeoutMs' | 'maxStoredBytes' | 'pauses' | 'masterKeys'
> {
  const maxStoredBytes = MAX_STORED_MB_PER_ACCOUNT * MEBIBYTE;
  return { turnTimeoutMs: TURN_TIMEOUT_MS, maxStoredBytes, pauses: TURN_PAUSES, masterKeys: MASTER_KEYS };
}
