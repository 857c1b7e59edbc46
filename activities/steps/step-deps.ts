import type { MikroORM } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/async/clock.ts';
import type { Config } from '../../lib/settings/config.ts';
import type { Log } from '../../lib/log.ts';
import type { MachineLoad } from '../../lib/machine-load.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import { turnSettings } from '../../turns/turn-deps.ts';
import type { TurnDeps } from '../../turns/turn-deps.ts';
import type { StartPace } from '../start-pace.ts';

/** The pool of ready gateways, as the start of an instance sees it. */
export interface PoolOfNode {
  /** A new instance starts; whether it has a gateway of the pool. */
  onStart(start: { isClaimed: boolean }): void;
}

/** What activities change the world with. */
export interface StepDeps {
  orm: MikroORM;
  driver: RuntimeDriver;
  /** The node of the driver; null: instances are on none. */
  nodeId: number | null;
  connections: GatewayConnections;
  config: Pick<
    Config,
    | 'MASTER_KEYS'
    | 'MODELS'
    | 'PROVIDERS'
    | 'MAX_RUNNING'
    | 'SUSPEND'
    | 'TURN_TIMEOUT_MS'
    | 'MAX_STORED_MB_PER_ACCOUNT'
    | 'QUARANTINE_DAYS'
  >;
  clock: Clock;
  monotonicMs: () => number;
  load: Pick<MachineLoad, 'isStarved'>;
  startPace: StartPace;
  /** How long a suspended gateway gets to answer once it is resumed; by default three seconds. */
  resumeMs?: number;
  /** How long a gateway gets to take up new content before it counts as refused; by default ten seconds. */
  contentMs?: number;
  /** Told how long each wake of a sleeper took. */
  onWoken?: (seconds: number) => void;
  /** Null: there is none on this node. */
  pool: PoolOfNode | null;
  makeId: MakeId;
  log: Log;
  /** Aborted when this worker is about to end: what runs gives way at once, and another worker does it again. */
  drain: AbortSignal;
}

export function turnDepsOf({ orm, makeId, clock, log, config }: StepDeps): TurnDeps {
  return { orm, makeId, clock, log, ...turnSettings(config) };
}
