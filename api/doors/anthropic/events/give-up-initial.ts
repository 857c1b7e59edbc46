import { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { notifySession } from '../../../../database/messages/session-turns.ts';
import { runTransaction } from '../../../../database/run-transaction.ts';
import { AppError } from '../../../../domain/errors.ts';
import { holdOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { storeRefused } from '../../../../turns/conversation/store-refused.ts';
import type { Deps } from '../../../deps.ts';
import { conversationDeps } from '../../../operations/messages/conversation.ts';
import { lockSession } from '../sessions/lock-session.ts';

const PATIENCE_MS = 24 * 60 * 60_000;
/** What no later try can change: the agent is gone, or its model is no longer offered. */
const FINAL: ReadonlySet<string> = new Set(['not_found', 'agent_error']);

/**
 * Gives up the initial events of a session that were refused in this way, when that is final or they have waited for a day. Each
 * becomes a message of the session whose turn has failed and says why; of a session without its agent nothing is left to tell.
 */
export async function giveUpInitial(deps: Deps, sessionId: string, refusal: AppError): Promise<void> {
  const session = await deps.orm.em.fork().findOne(ClaudeSession, { id: sessionId });
  if (!session?.fields.initial) return;
  if (!FINAL.has(refusal.code) && deps.clock().getTime() - session.createdAt.getTime() < PATIENCE_MS) return;
  deps.log.info({ sessionId, code: refusal.code }, 'the initial events of a session were never accepted and are given up');
  const why = `The environment did not accept this message: ${refusal.message}`;
  for (let isLeft = true; isLeft;) isLeft = await giveUpOne(deps, session, why);
}

/** One for each transaction: the counter of events is the last lock of its transaction. False when none is left. */
function giveUpOne(deps: Deps, { id, account: accountId, instance: instanceId, agent: agentId }: ClaudeSession, why: string) {
  return runTransaction(deps.orm.em, async (em) => {
    const limits = { instanceId: null };
    const agent = await holdOwnAgent(em, { accountId, keyId: null, limits }, { instanceId, agentId }).catch(orGone);
    const session = await lockSession(em, id);
    if (!session?.fields.initial) return false;
    const { initial, ...fields } = session.fields;
    const [text, ...texts] = initial.texts;
    const isLeft = agent !== null && texts.length > 0;
    session.fields = isLeft ? { ...fields, initial: { ...initial, texts } } : fields;
    if (!isLeft) session.initialDueAt = null;
    await em.flush();
    await notifySession(em, id);
    const actor = { accountId, keyId: initial.keyId, limits };
    if (agent && text !== undefined) await storeRefused(em, conversationDeps(deps), actor, agent, { text, sessionId: id, why });
    return isLeft;
  });
}

function orGone(error: unknown): null {
  if (error instanceof AppError && error.code === 'not_found') return null;
  throw error;
}
