import { z } from 'zod';
import { findStepsOf, listSessionTurns } from '../../../../database/messages/session-turns.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { paginate } from '../../../contract/pagination.ts';
import { sessionParams } from '../ids.ts';
import { findOwnSession, placeOf } from '../sessions/own-session.ts';
import { listParam } from '../request-fields.ts';
import { eventsOf } from './session-events.ts';
import type { SessionEvent } from './session-events.ts';

/** The turn in which a page ends, and how many of its events, counted in the order of the page, were on it. */
const pages = paginate('claudeEvents', z.tuple([z.int().nonnegative(), z.int().nonnegative().max(1_000)]), {
  defaultLimit: 100,
  maxLimit: 1_000,
});
/** How many turns a page is made of at most: their texts are large. */
const TURNS = 50;

export const listSessionEvents = defineOperation({
  method: 'GET',
  path: '/v1/sessions/:sessionId/events',
  operationId: 'anthropic.sessions.events.list',
  summary: 'List the events of a session',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: sessionParams,
  query: z.object({
    limit: pages.fields.limit,
    page: pages.fields.cursor,
    order: z.enum(['asc', 'desc']).default('asc'),
    types: listParam.optional(),
  }),
  success: {
    status: 200,
    schema: z.object({ data: z.array(z.looseObject({ id: z.string(), type: z.string() })), next_page: z.string().nullable() }),
  },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnSession(em, actor, params.sessionId);
  },
  async handle({ query, em, loaded: session }) {
    const { limit, page: cursor, order, types } = query;
    const [last, told] = cursor ?? [null, 0];
    // The turn of the cursor comes again, without the events that were on the page before.
    const beyond = last === null ? null : order === 'asc' ? last - 1 : last + 1;
    const { turns, hasMore } = await listSessionTurns(em, placeOf(session), { beyond, order, limit: TURNS });
    const steps = await findStepsOf(
      em,
      turns.map(({ replyId }) => replyId),
    );
    const events: { event: SessionEvent; place: [number, number] }[] = [];
    for (const turn of turns) {
      const all = eventsOf(turn, steps.get(turn.replyId) ?? []);
      const ordered = order === 'asc' ? all : all.toReversed();
      const skipped = turn.number === last ? told : 0;
      for (const [index, event] of ordered.entries())
        if (index >= skipped) events.push({ event, place: [turn.number, index + 1] });
    }
    const page = pages.pageOf(events.slice(0, limit), hasMore || events.length > limit, ({ place }) => place);
    const data = page.items.map(({ event }) => event).filter(({ type }) => types?.includes(type) ?? true);
    return { data, next_page: page.nextCursor };
  },
});
