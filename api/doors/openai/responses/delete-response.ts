import { z } from 'zod';
import { hideResponse } from '../../../../database/responses/responses.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { findOwnResponse } from './own-response.ts';
import { responseId, responseParams } from './response.schema.ts';

export const deleteResponse = defineOperation({
  method: 'DELETE',
  path: '/responses/:responseId',
  operationId: 'openai.responses.delete',
  summary: 'Delete a response; its messages stay in the conversation',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'responses.delete',
  rateLimit: 'account',
  idempotent: true,
  params: responseParams,
  success: {
    status: 200,
    schema: z.object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) }),
  },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnResponse(em, actor, params.responseId);
  },
  async handle({ params, actor, em, deps, loaded: { request } }) {
    const { accountId } = actor;
    await hideResponse(em, { messageId: params.responseId, accountId, request, now: deps.clock() });
    return { id: responseId(params.responseId), object: 'response' as const, deleted: true as const };
  },
});
