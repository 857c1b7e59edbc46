import type { EntityManager } from '@mikro-orm/postgresql';
import { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { claimInitial } from '../../../../database/messages/claim-initial.ts';
import { notifySession } from '../../../../database/messages/session-turns.ts';
import { runTransaction } from '../../../../database/run-transaction.ts';
import { AppError } from '../../../../domain/errors.ts';
import type { AcceptedMessage } from '../../../../turns/conversation/accept-message.ts';
import { holdOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import type { OwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { sendAccepted } from '../../../../turns/conversation/send-accepted.ts';
import type { Deps } from '../../../deps.ts';
import { say } from '../../say.ts';
import { giveUpInitial } from './give-up-initial.ts';
import { lockSession } from '../sessions/lock-session.ts';

/**
 * Accepts what a session was created with, unless that is done, in the caller's transaction, which holds this agent and the
 * session. Throws AppError as acceptMessage does; then they wait on.
 */
export async function sayInitial(
  em: EntityManager,
  deps: Deps,
  agent: OwnAgent,
  session: ClaudeSession,
): Promise<AcceptedMessage[]> {
  const { initial } = session.fields;
  if (!initial) return [];
  const actor = { accountId: session.account, keyId: initial.keyId, limits: { instanceId: null } };
  const accepted: AcceptedMessage[] = [];
  for (const text of initial.texts) accepted.push(await say(em, deps, actor, agent, { text, sessionId: session.id }));
  await dropInitial(em, session);
  return accepted;
}

/** Forgets what a session was created with. */
export async function dropInitial(em: EntityManager, session: ClaudeSession): Promise<void> {
  const { initial, ...fields } = session.fields;
  if (!initial) return;
  session.fields = fields;
  session.initialDueAt = null;
  await em.flush();
}

/** Sends what a session was created with, as soon as its environment and agent take it. What has to wait is tried again by another call, for a day. */
export async function deliverInitial(deps: Deps, sessionId: string): Promise<void> {
  const accepted = await runTransaction(deps.orm.em, async (em) => {
    const found = await em.findOne(ClaudeSession, { id: sessionId });
    if (!found?.fields.initial) return [];
    const { instance: instanceId, agent: agentId, account: accountId } = found;
    const actor = { accountId, keyId: null, limits: { instanceId: null } };
    const agent = await holdOwnAgent(em, actor, { instanceId, agentId });
    const session = await lockSession(em, sessionId);
    const said = session ? await sayInitial(em, deps, agent, session) : [];
    await notifySession(em, sessionId);
    return said;
  }).catch(async (error: unknown) => {
    // Such as an environment that starts, an agent that it does not have yet, or no money.
    if (!(error instanceof AppError)) throw error;
    await giveUpInitial(deps, sessionId, error);
    return [];
  });
  for (const message of accepted) sendAccepted(deps, message).close();
}

/** Tries once all sessions whose initial events are due. One that fails keeps no other one waiting. */
export async function deliverDue(deps: Deps): Promise<void> {
  for (const sessionId of await claimInitial(deps.orm.em.fork())) {
    await deliverInitial(deps, sessionId).catch((err: unknown) =>
      deps.log.warn({ err, sessionId }, 'the initial events of a session could not be accepted and are tried again'),
    );
  }
}
