import { z } from 'zod';
import { findSteps } from '../../../database/messages/steps.ts';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { readMessage } from '../../../turns/conversation/read-message.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { includeField, messageParams, messageSchema, presentMessage } from './message.schema.ts';

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
  query: z.object({
    include: includeField.optional().meta({ description: '`steps`: the answer also has what the agent did during the turn.' }),
  }),
  success: { status: 200, schema: messageSchema },
  errors: [],

  async handle({ params, query, actor, em }) {
    const message = await readMessage(em, await findOwnAgent(em, actor, params), params.messageId);
    return presentMessage(message, query.include && (await findSteps(em, message.id)));
  },
});
