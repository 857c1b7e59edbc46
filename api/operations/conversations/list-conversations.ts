import { z } from 'zod';
import { listConversations as list } from '../../../turns/conversation/list-conversations.ts';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { byCreation, nextCursor, paginate } from '../../contract/pagination.ts';
import { agentParams } from '../agents/agent.schema.ts';

const pages = paginate('conversations', byCreation);

const conversationSchema = z.object({
  conversationId: idField('conv'),
  sessionId: z.string().nullable().meta({ description: '`null` for the default conversation of the agent.' }),
  title: z.string().meta({ description: 'The first words of the first message.' }),
  messages: z.int().meta({ description: 'The number of messages in the history, of both sides.' }),
  lastAt: timestamp.meta({ description: 'When the last message was sent, or the last turn ended.' }),
});

export const listConversations = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/conversations',
  operationId: 'conversations.list',
  summary: 'List the conversations of an agent',
  description: 'The conversation with the newest message comes first.',
  tag: 'messages',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ conversations: z.array(conversationSchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnAgent(em, actor, params);
  },
  async handle({ query: { limit, cursor }, em, loaded: agent }) {
    const found = await list(em, agent, { after: cursor, limit: limit + 1 });
    const page = pages.page(found, limit, ({ lastAt, conversationId }) => [lastAt.getTime(), conversationId]);
    const conversations = page.items.map(({ conversationId, sessionId, title, messages, lastAt }) => ({
      ...{ conversationId, title, messages },
      sessionId: sessionId === '' ? null : sessionId,
      lastAt: lastAt.toISOString(),
    }));
    return { conversations, nextCursor: page.nextCursor };
  },
});
