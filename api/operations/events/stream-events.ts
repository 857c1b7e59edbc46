import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import { EventStream } from '../../http/event-stream.ts';
import { accountEventSchema, afterField, deletedEventSchema, parseSeq } from './event.schema.ts';
import { followEvents } from './follow-events.ts';

export const streamEvents = defineOperation({
  method: 'GET',
  path: '/events/stream',
  operationId: 'events.stream',
  summary: 'Follow the events of the account live',
  description:
    'The events of `GET /events` as server-sent events, oldest first, then each as soon as it happens. The `id` of each is its `seq`: a client that connects again with it as `Last-Event-ID`, or as `after`, misses none and gets none twice. `Last-Event-ID` takes precedence. A comment is sent every 15 seconds.',
  tag: 'events',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({ after: afterField }),
  success: { status: 200, schema: z.union([deletedEventSchema, accountEventSchema]), stream: 'only' },
  errors: [],

  async handle({ query, lastEventId }) {
    if (lastEventId === undefined || lastEventId === '') return { after: query.after };
    const after = parseSeq(lastEventId);
    if (after !== null) return { after };
    const message = 'Send the id of the last event that you received.';
    throw invalidRequest([{ path: 'Last-Event-ID', message }]);
  },

  async after({ after }, { actor, deps, signal }) {
    return new EventStream(followEvents(deps, { accountId: actor.accountId, after, signal }));
  },
});
