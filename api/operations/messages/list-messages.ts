import { z } from 'zod';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { readHistory } from '../../../turns/conversation/read-history.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nextCursor, paginate, rowId, rowTime } from '../../contract/pagination.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { messageSchema, presentMessage, saidAt, sessionIdField } from './message.schema.ts';

const position = z.tuple([rowTime, rowId, z.int().nonnegative(), z.union([z.literal(0), z.literal(1)])]);
const pages = paginate('messages', position);

export const listMessages = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/messages',
  operationId: 'messages.list',
  summary: 'Get the message history of an agent, in time order',
  description:
    'Returns the latest messages and replies of all conversations of the agent, or of one conversation. While a turn has not ended, its reply has the status `pending`. Messages that the agent sent without a request are in the history of their conversation. The result of a cron job is in the history of a conversation only when the gateway has added it there, as it does for a job that the agent created in that conversation; get other results by their id. `nextCursor` leads to earlier messages.',
  tag: 'messages',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  query: z.object({
    ...pages.fields,
    sessionId: sessionIdField.optional().meta({ description: 'Only return messages of this conversation.' }),
  }),
  success: { status: 200, schema: z.object({ messages: z.array(messageSchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnAgent(em, actor, params);
  },
  async handle({ query, em, loaded: agent }) {
    const { limit, cursor, sessionId } = query;
    const { entries, hasMore } = await readHistory(em, agent, { sessionId, before: cursor, limit });
    const page = pages.pageOf(entries, hasMore, ({ createdAt, conversationId, number, role }) => [
      createdAt.getTime(),
      conversationId,
      number,
      role === 'agent' ? 1 : 0,
    ]);
    const inOrder = page.items.toReversed().toSorted((a, b) => saidAt(a).getTime() - saidAt(b).getTime());
    return { messages: inOrder.map(presentMessage), nextCursor: page.nextCursor };
  },
});
