import { z } from 'zod';
import { abortDeleted, deleteConversation as remove, endDeleted } from '../../../turns/conversation/delete-conversation.ts';
import { holdOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { conversationDeps } from '../messages/conversation.ts';
import { sessionIdField } from '../messages/message.schema.ts';

export const deleteConversation = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId/agents/:agentId/conversations/:conversationId',
  operationId: 'conversations.delete',
  summary: 'Delete a conversation',
  description:
    '`conversationId` is the id of the conversation or its `sessionId`. Its running and waiting turns end as cancelled, its messages are deleted, and the gateway deletes its session when the instance runs. The agent may have noted what was said in its files. The events of its replies are kept for their 30 days. A later message with the same `sessionId` begins a new conversation.',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  audit: 'conversations.delete',
  rateLimit: 'account',
  idempotent: true,
  params: agentParams.extend({ conversationId: sessionIdField }),
  success: { status: 200, schema: z.object({ conversationId: idField('conv'), deleted: z.literal(true) }) },
  errors: [],

  async load({ params, actor, em }) {
    return holdOwnAgent(em, actor, params);
  },
  async handle({ params, em, deps, loaded: agent }) {
    return remove(em, deps, agent, params.conversationId);
  },
  auditSubject: ({ conversationId, instanceId }) => ({ target: conversationId, instanceId }),

  async after(deleted, { deps, log }) {
    const conversation = conversationDeps(deps);
    await endDeleted(conversation, deleted);
    deps.background.run('abort-turns', log, () => abortDeleted(conversation, deleted));
    return { conversationId: deleted.conversationId, deleted: true as const };
  },
});
