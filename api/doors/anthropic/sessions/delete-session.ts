import { z } from 'zod';
import { AppError } from '../../../../domain/errors.ts';
import { abortDeleted, deleteConversation, endDeleted } from '../../../../turns/conversation/delete-conversation.ts';
import type { DeletedConversation } from '../../../../turns/conversation/delete-conversation.ts';
import { holdOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { conversationDeps } from '../../../operations/messages/conversation.ts';
import { removeBudgets } from '../../../operations/budgets/change-budget.ts';
import { sessionParams } from '../ids.ts';
import { lockSession } from './lock-session.ts';
import { findOwnSession } from './own-session.ts';

export const deleteSession = defineOperation({
  method: 'DELETE',
  path: '/v1/sessions/:sessionId',
  operationId: 'anthropic.sessions.delete',
  summary: 'Delete a session with its conversation',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeSessions.delete',
  rateLimit: 'account',
  idempotent: true,
  params: sessionParams,
  success: { status: 200, schema: z.object({ id: z.string(), type: z.literal('session_deleted') }) },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnSession(em, actor, params.sessionId);
  },
  async handle({ actor, em, deps, loaded: session }) {
    const { id, instance: instanceId, agent: agentId } = session;
    let conversation: DeletedConversation | null = null;
    try {
      const agent = await holdOwnAgent(em, actor, { instanceId, agentId });
      await lockSession(em, id);
      conversation = await deleteConversation(em, conversationDeps(deps), agent, id);
    } catch (error) {
      // Nothing was said in it yet, or its agent is gone with all conversations.
      if (!(error instanceof AppError && error.code === 'not_found')) throw error;
    }
    if (session.fields.budgetId) await removeBudgets(em, [session.fields.budgetId], deps.clock());
    await em.remove(session).flush();
    return { id, instanceId, conversation };
  },
  auditSubject: ({ id, instanceId }) => ({ target: id, instanceId }),

  async after({ id, conversation }, { deps, log }) {
    if (conversation) {
      await endDeleted(conversationDeps(deps), conversation);
      deps.background.run('abort-turn', log, () => abortDeleted(conversationDeps(deps), conversation));
    }
    return { id, type: 'session_deleted' as const };
  },
});
