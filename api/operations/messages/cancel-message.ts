import { abortCancelled, cancelMessage as cancel } from '../../../turns/conversation/cancel-message.ts';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { conversationDeps } from './conversation.ts';
import { messageParams, messageSchema, presentMessage } from './message.schema.ts';

export const cancelMessage = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/agents/:agentId/messages/:messageId/cancel',
  operationId: 'messages.cancel',
  summary: 'Cancel a waiting or running turn',
  description:
    '`messageId` is the id of the reply, or of the message that it answers. A turn that has ended cannot be cancelled: the call returns 409, also for a message that the agent sent without a request.',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  audit: 'messages.cancel',
  rateLimit: 'account',
  idempotent: true,
  params: messageParams,
  success: { status: 200, schema: messageSchema },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    return findOwnAgent(em, actor, params);
  },
  async handle({ params, em, deps, loaded: agent }) {
    return presentMessage(await cancel(em, conversationDeps(deps), agent, params.messageId));
  },

  // The turn has ended with the commit. Telling the gateway at once only saves it the rest of the work.
  async after(cancelled, { deps, log }) {
    deps.background.run('abort-turn', log, () => abortCancelled(conversationDeps(deps), cancelled.messageId));
    return cancelled;
  },
});
