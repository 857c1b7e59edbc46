import type { Clock } from '../lib/async/clock.ts';
import type { Config } from '../lib/settings/config.ts';
import type { Log } from '../lib/log.ts';
import type { CallSlots } from '../lib/async/call-slots.ts';
import type { Shares } from '../lib/async/shares.ts';
import type { MasterKey, TokenHolder } from '../runtime/openclaw/install/tokens.ts';
import type { OpenCalls } from './open-calls.ts';
import type { RelayMetrics } from './relay-metrics.ts';
import type { Routes } from './routes/routes.ts';
import type { RelayAgent, RelayStore } from './store.ts';

/** What answering a request takes. */
export interface RelayDeps {
  config: Pick<Config, 'MODELS' | 'PROVIDERS'>;
  /** What tokens are verified with. */
  keys: readonly MasterKey[];
  store: RelayStore;
  findAgent(holder: TokenHolder): Promise<RelayAgent | null>;
  openCalls: OpenCalls;
  routes: Routes;
  metrics: RelayMetrics;
  /** Of one request. */
  maxBodyBytes: number;
  /** The bytes of requests that are held at the same time, by account. */
  bodies: Shares;
  /** Large requests that are parsed, by account. */
  parsing: CallSlots;
  /** How long one model call may take in all. */
  callMs: number;
  clock: Clock;
  log: Log;
}
