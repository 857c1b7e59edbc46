import type { EntityManager } from '@mikro-orm/postgresql';
import { decidePower } from '../../../domain/lifecycle.ts';
import type { PowerAction, PowerDecision } from '../../../domain/lifecycle.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import { closeInterval } from '../../billing/intervals.ts';

interface PowerChange {
  instanceId: string;
  action: PowerAction;
  now: Date;
  /** When the meter ends; by default the database's own time. */
  meterNow?: Date | null;
}

/**
 * Starts, stops or destroys an instance as far as the database goes: what is wanted, the transition, the end of the
 * meter, and a wake-up for the reconciler. A start after many that failed is given a pause. Locks the row. Null when
 * there is no such instance.
 */
export async function changePower(
  em: EntityManager,
  { instanceId, action, now, meterNow = null }: PowerChange,
): Promise<PowerDecision['kind'] | null> {
  let decided: PowerDecision['kind'] | null = null;
  await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'power-asked', action },
    now,
    allows: (row) => {
      decided = row.deletedAt === null ? decidePower(row, action).kind : null;
      return decided === 'changed';
    },
  });
  if (decided === 'changed' && action !== 'start') await closeInterval(em, instanceId, null, meterNow);
  return decided;
}
