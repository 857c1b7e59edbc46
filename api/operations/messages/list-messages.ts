import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { findOwnAgent } from '../../../turns/conversation/own-agent.ts';
import type { OwnAgent } from '../../../turns/conversation/own-agent.ts';
import { positionOf, readHistory } from '../../../turns/conversation/read-history.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import { nextCursor, paginate, rowId, rowTime } from '../../contract/pagination.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { messageSchema, presentMessage, saidAt, sessionIdField } from './message.schema.ts';

const place = [rowTime, rowId, z.int().nonnegative(), z.union([z.literal(0), z.literal(1)])] as const;
/** A page that leads to later messages has a mark behind its place. */
const pages = paginate('messages', z.union([z.tuple(place), z.tuple([...place, z.literal('later')])]));

const MAX_WORDS = 200;

export const listMessages = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId/messages',
  operationId: 'messages.list',
  summary: 'Get the message history of an agent, in time order',
  description:
    'Returns the latest messages and replies of all conversations of the agent, or of one conversation; with `before` the latest before that message, with `after` the first after it, and with both only those between. While a turn has not ended, its reply has the status `pending`. Messages that the agent sent without a request are in the history of their conversation. The result of a cron job is in the history of a conversation only when the gateway has added it there, as it does for a job that the agent created in that conversation; get other results by their id. `nextCursor` leads to earlier messages, with `after` to later ones.',
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
    before: idField('msg').optional().meta({ description: 'Only return messages before this one.' }),
    after: idField('msg').optional().meta({ description: 'Only return messages after this one, the first of them.' }),
    q: z.string().min(1).max(MAX_WORDS).optional().meta({
      description: 'Only return messages that contain all of these words, within their first 100,000 characters.',
    }),
  }),
  success: { status: 200, schema: z.object({ messages: z.array(messageSchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnAgent(em, actor, params);
  },
  async handle({ query, em, loaded: agent }) {
    const { limit, cursor, sessionId, q: words } = query;
    let before = await givenPosition(em, agent, { before: query.before });
    let after = await givenPosition(em, agent, { after: query.after });
    const isLater = cursor ? cursor[4] === 'later' : after !== undefined;
    if (cursor) {
      const [at, conversationId, number, side] = cursor;
      if (isLater) after = [at, conversationId, number, side];
      else before = [at, conversationId, number, side];
    }
    const order = isLater ? 'oldest-first' : 'newest-first';
    const { entries, hasMore } = await readHistory(em, agent, { sessionId, before, after, words, order, limit });
    const page = pages.pageOf(entries, hasMore, ({ createdAt, conversationId, number, role }) => {
      const side = role === 'agent' ? 1 : 0;
      const last = [createdAt.getTime(), conversationId, number, side] as const;
      return isLater ? [...last, 'later'] : [...last];
    });
    const inOrder = isLater ? page.items : page.items.toReversed();
    const messages = inOrder
      .toSorted((a, b) => saidAt(a).getTime() - saidAt(b).getTime())
      .map((message) => presentMessage(message));
    return { messages, nextCursor: page.nextCursor };
  },
});

/** The position of the message that this field names. */
async function givenPosition(
  em: EntityManager,
  agent: OwnAgent,
  field: { before?: string | undefined; after?: string | undefined },
) {
  for (const [path, messageId] of Object.entries(field)) {
    if (messageId === undefined) continue;
    const position = await positionOf(em, agent, messageId);
    if (position) return position;
    const message = 'Must be the id of a message in the history of this agent.';
    throw invalidRequest([{ path, message }]);
  }
  return undefined;
}
