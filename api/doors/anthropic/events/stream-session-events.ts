import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { findLastEnded, findStepsOf, findTurnNumber, listSessionTurns } from '../../../../database/messages/session-turns.ts';
import { MAX_WAITING_TURNS } from '../../../../domain/turn.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import { EventStream } from '../../../http/event-stream.ts';
import { followSession } from './follow-session.ts';
import type { SessionStart } from './follow-session.ts';
import { replyOfEvent, sessionParams } from '../ids.ts';
import { findOwnSession, placeOf } from '../sessions/own-session.ts';
import { listParam } from '../request-fields.ts';
import { eventsOf } from './session-events.ts';

const NOT_AN_EVENT = 'Send the id of an event of this session.';
/** What a client that waits longer than a stream may have sent. */
const PENDING_TURNS = MAX_WAITING_TURNS + 1;

export const streamSessionEvents = defineOperation({
  method: 'GET',
  path: '/v1/sessions/:sessionId/events/stream',
  operationId: 'anthropic.sessions.events.stream',
  summary: 'Stream the events of a session, from now on or after an event',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: sessionParams,
  query: z.object({ after: z.string().max(200).optional(), event_deltas: listParam.optional() }),
  success: { status: 200, schema: z.looseObject({ id: z.string(), type: z.string() }), stream: 'only' },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnSession(em, actor, params.sessionId);
  },
  async handle({ query, lastEventId, em, loaded: session }) {
    const path = lastEventId ? 'Last-Event-ID' : 'after';
    const after = lastEventId || query.after;
    return { session, start: after ? await startAfter(em, session, after, path) : await startLive(em, session) };
  },

  async after({ session, start }, { query, deps, signal }) {
    const withDeltas = query.event_deltas?.includes('agent.message') ?? false;
    return new EventStream(followSession(deps, { place: placeOf(session), start, withDeltas, signal }));
  },
});

/** From now on: what has happened in turns that have not ended is known. */
async function startLive(em: EntityManager, session: ClaudeSession): Promise<SessionStart> {
  const place = placeOf(session);
  const number = await findLastEnded(em, place);
  const { turns } = await listSessionTurns(em, place, { beyond: number, order: 'asc', limit: PENDING_TURNS });
  const steps = await findStepsOf(
    em,
    turns.map(({ replyId }) => replyId),
  );
  const events = turns.flatMap((turn) => eventsOf(turn, steps.get(turn.replyId) ?? []));
  return { number, known: new Set(events.map(({ id }) => id)) };
}

/** Behind an event: its turn is gone through again, without what came up to it. */
async function startAfter(em: EntityManager, session: ClaudeSession, after: string, path: string): Promise<SessionStart> {
  const place = placeOf(session);
  const replyId = replyOfEvent(after);
  const number = replyId === null ? null : await findTurnNumber(em, place, replyId);
  if (replyId === null || number === null) throw invalidRequest([{ path, message: NOT_AN_EVENT }]);
  const { turns } = await listSessionTurns(em, place, { beyond: number - 1, order: 'asc', limit: 1 });
  const steps = (await findStepsOf(em, [replyId])).get(replyId) ?? [];
  const ids = turns.flatMap((turn) => eventsOf(turn, steps)).map(({ id }) => id);
  // Steps are kept for thirty days only.
  const index = ids.includes(after) ? ids.indexOf(after) : ids.length - 1;
  return { number: number - 1, known: new Set(ids.slice(0, index + 1)) };
}
