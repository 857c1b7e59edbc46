import { completeReply } from '../../../database/messages/complete-reply.ts';
import { findMessage } from '../../../database/messages/find-messages.ts';
import { lockReply } from '../../../database/messages/lock-reply.ts';
import { AppError } from '../../../domain/errors.ts';
import { abortIfDue } from '../../../turns/cancel-turn.ts';
import { turnSettings } from '../../../turns/turn-deps.ts';
import { cancelledEnd } from '../../../turns/turn-end.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findAgent } from '../../find-instance.ts';
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
    await findAgent(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, em, deps }) {
    const { agentId, messageId } = params;
    const reply = await lockReply(em, agentId, messageId);
    if (!reply) throw new AppError('not_found', 'Message not found');
    const { maxStoredBytes } = turnSettings(deps.config);
    const options = { makeId: deps.makeId, now: deps.clock(), maxStoredBytes, abortDue: reply.isSent };
    if (!(await completeReply(em, reply.id, cancelledEnd(), options)))
      throw new AppError('conflict', 'This turn has already ended and cannot be cancelled.', { messageId: reply.id });
    const ended = await findMessage(em, agentId, reply.id);
    if (!ended) throw new Error('a reply that was locked is gone');
    return presentMessage(ended);
  },

  // Ended is ended; that the gateway hears of it at once only saves it the work.
  async after(cancelled, { deps, log }) {
    const turnDeps = { ...deps, ...turnSettings(deps.config) };
    deps.background.run('abort-turn', log, () => abortIfDue(turnDeps, cancelled.messageId));
    return cancelled;
  },
});
