import { findMessage } from '../../../database/queries/find-messages.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { messageParams, messageSchema, presentMessage } from './message.schema.ts';

export const getMessage = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/messages/:messageId',
  operationId: 'messages.get',
  summary: 'Get one message',
  description:
    'What to call after a 504: a reply has a status, and its content once it is `completed`. Finds the `messageId` of every event too: each result of a cron job, and each message that an agent sent by itself, is a message without a request.',
  tag: 'messages',
  auth: 'account',
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
