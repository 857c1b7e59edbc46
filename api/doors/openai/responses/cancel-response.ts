import { AppError } from '../../../../domain/errors.ts';
import { abortCancelled, cancelMessage } from '../../../../turns/conversation/cancel-message.ts';
import { findOwnAgent } from '../../../../turns/conversation/own-agent.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { conversationDeps } from '../../../operations/messages/conversation.ts';
import { findOwnResponse, readResponse } from './own-response.ts';
import { responseParams, responseSchema } from './response.schema.ts';

export const cancelResponse = defineOperation({
  method: 'POST',
  path: '/responses/:responseId/cancel',
  operationId: 'openai.responses.cancel',
  summary: 'Cancel a response that is waiting or under way',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'messages.cancel',
  rateLimit: 'account',
  idempotent: true,
  params: responseParams,
  success: { status: 200, schema: responseSchema },
  errors: ['conflict', 'invalid_request'],

  async load({ params, actor, em }) {
    return findOwnResponse(em, actor, params.responseId);
  },
  async handle({ actor, em, deps, loaded: own }) {
    const { status } = await readResponse(em, own);
    if (status === 'in_progress')
      await cancelMessage(em, conversationDeps(deps), await findOwnAgent(em, actor, own.place), own.place.messageId);
    else if (status !== 'cancelled')
      throw new AppError('invalid_request', 'This response has already ended and cannot be cancelled.');
    return own;
  },
  auditSubject: ({ place: { messageId, instanceId } }) => ({ target: messageId, instanceId }),

  async after(own, { em, deps, log }) {
    deps.background.run('abort-turn', log, () => abortCancelled(conversationDeps(deps), own.place.messageId));
    return readResponse(em, own);
  },
});
