import { recordSteps } from '../../database/messages/steps.ts';
import type { ToolSign } from '../../runtime/gateway/tool-sign.ts';
import type { TurnDeps } from '../turn-deps.ts';
import { createHide, findHiddenValues } from './hidden-values.ts';
import { StepList } from './step-list.ts';

interface OfTurn {
  messageId: string;
  instanceId: string;
  runtimeId: string;
}

/**
 * Stores the steps of a turn that was read back from its gateway. It can be repeated. Never rejects: what an agent did is not
 * worth the end of its turn.
 */
export async function recordSigns(
  { orm, masterKeys, clock, log, maxStoredBytes }: Pick<TurnDeps, 'orm' | 'masterKeys' | 'clock' | 'log' | 'maxStoredBytes'>,
  { messageId, instanceId, runtimeId }: OfTurn,
  signs: readonly ToolSign[],
): Promise<void> {
  if (signs.length === 0) return;
  try {
    const em = orm.em.fork();
    const hide = createHide(await findHiddenValues(em, masterKeys, { instanceId, runtimeId }));
    const list = new StepList(messageId);
    const now = clock();
    for (const sign of signs) list.add(sign, now, hide);
    await recordSteps(em, { messageId, steps: list.steps, now, maxStoredBytes });
  } catch (err) {
    log.warn({ err, messageId }, 'could not store the steps of a turn');
  }
}
