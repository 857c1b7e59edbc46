import { z } from 'zod';
import { streamReply } from '../../../../turns/conversation/stream-reply.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { EventStream } from '../../../http/event-stream.ts';
import { findOwnResponse, readResponse } from './own-response.ts';
import { responseParams, responseSchema } from './response.schema.ts';
import { streamResponse } from './stream-response.ts';

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');

export const getResponse = defineOperation({
  method: 'GET',
  path: '/responses/:responseId',
  operationId: 'openai.responses.retrieve',
  summary: 'Get a response, or its events after a sequence number',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: responseParams,
  query: z.object({
    stream: flag.default(false),
    starting_after: z
      .string()
      .regex(/^\d{1,10}$/, 'Give the sequence_number of the last event that you received.')
      .transform(Number)
      .optional(),
  }),
  success: { status: 200, schema: responseSchema, stream: true },
  errors: ['timeout', 'instance_not_ready'],

  async load({ params, actor, em }) {
    return findOwnResponse(em, actor, params.responseId);
  },
  async handle({ loaded }) {
    return loaded;
  },
  async after(own, { query, em, deps, signal }) {
    if (!query.stream) return readResponse(em, own);
    const turn = deps.turnSender.follow(own.place.messageId);
    return new EventStream(streamResponse(deps, own, streamReply(deps, own.place, turn, signal), query.starting_after));
  },
});
