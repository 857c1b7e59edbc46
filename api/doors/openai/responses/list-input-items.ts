import { z } from 'zod';
import { getTurn } from '../../../../database/messages/find-turn.ts';
import { findMessage } from '../../../../database/messages/find-messages.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { findOwnResponse, noResponse } from './own-response.ts';
import { responseParams } from './response.schema.ts';

const itemSchema = z.object({
  id: z.string(),
  type: z.literal('message'),
  status: z.literal('completed'),
  role: z.literal('user'),
  content: z.array(
    z.union([
      z.object({ type: z.literal('input_text'), text: z.string() }),
      z.object({ type: z.literal('input_file'), filename: z.string() }),
    ]),
  ),
});

export const listInputItems = defineOperation({
  method: 'GET',
  path: '/responses/:responseId/input_items',
  operationId: 'openai.responses.inputItems.list',
  summary: 'Get the message of a response, as its one input item',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: responseParams,
  query: z.object({ after: z.string().optional() }),
  success: {
    status: 200,
    schema: z.object({
      object: z.literal('list'),
      data: z.array(itemSchema),
      first_id: z.string().nullable(),
      last_id: z.string().nullable(),
      has_more: z.literal(false),
    }),
  },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnResponse(em, actor, params.responseId);
  },
  async handle({ query, em, loaded: { place } }) {
    const turn = await getTurn(em, place.messageId);
    const said = turn?.requestMessageId ? await findMessage(em, place.agentId, turn.requestMessageId) : null;
    if (!said) throw noResponse();
    const isPast = query.after === said.id;
    const files = (said.attachments ?? []).map(({ name }) => ({ type: 'input_file' as const, filename: name }));
    const content = [{ type: 'input_text' as const, text: said.content }, ...files];
    const item = { id: said.id, type: 'message' as const, status: 'completed' as const, role: 'user' as const, content };
    const [first] = isPast ? [] : [item];
    const id = first?.id ?? null;
    return { object: 'list' as const, data: first ? [first] : [], first_id: id, last_id: id, has_more: false as const };
  },
});
