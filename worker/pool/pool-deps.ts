import type { StepDeps } from '../../activities/steps/step-deps.ts';
import type { Config } from '../../lib/settings/config.ts';

/** What keeping the pool of a node takes. */
export interface PoolDeps extends Pick<
  StepDeps,
  'orm' | 'driver' | 'connections' | 'clock' | 'monotonicMs' | 'load' | 'startPace' | 'makeId' | 'log'
> {
  nodeId: number;
  config: StepDeps['config'] & Pick<Config, 'POOL_SIZE' | 'RUNTIME' | 'INSTANCE_MEMORY_MB'>;
  /** The memory that programs of this machine could still take. */
  freeBytes: () => number;
}
