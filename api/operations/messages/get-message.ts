import { findMessage } from '../../../database/messages/find-messages.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { messageParams, messageSchema, presentMessage } from './message.schema.ts';

export const getMessage = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/messages/:messageId',
  operationId: 'messages.get',
  summary: 'Get a message',
  description:
    'Use this call after a 504: a reply shows its status, and its content once the status is `completed`. The call also returns the message of an event by its `messageId`, including results of cron jobs and messages that an agent sent without a request.',
  tag: 'messages',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: messageParams,
  success: { status: 200, schema: messageSchema },
  errors: [],

  async handle({ params, actor, em }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
    const message = await findMessage(em, params.agentId, params.messageId);
    if (!message) throw new AppError('not_found', 'Message not found');
    return presentMessage(message);
  },
});
