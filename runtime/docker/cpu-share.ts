import { FEW_CPU_SHARES, GIVES_WAY } from './container-profile.ts';
import type { Container } from './container-state.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';

/** Has a container get less CPU time than the other instances, or as much again. Nothing happens to one that has ended. */
export async function shareCpu(engine: Engine, container: Container | null, givesWay: boolean): Promise<void> {
  if (!container?.State.Running) return;
  const body = { CpuShares: givesWay ? FEW_CPU_SHARES : GIVES_WAY.CpuShares };
  await orElse([404, 409], null, () => engine.call('POST', `/containers/${container.Id}/update`, { body }));
}
