import { z } from 'zod';
import { findAccountEvents } from '../../../database/events/find-events.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { limitField } from '../../contract/pagination.ts';
import { accountEventSchema, afterField, deletedEventSchema, presentAccountEvent } from './event.schema.ts';

const seqField = z.int().nonnegative().nullable();

export const listEvents = defineOperation({
  method: 'GET',
  path: '/events',
  operationId: 'events.list',
  summary: 'List the events of the account, oldest first',
  description:
    'For consumers that must not miss an event: pass `nextAfter` as `after` in the next call, until a page is empty. The numbers between `oldestSeq` and `latestSeq` have no gaps. A page with long contents can have fewer events than `limit`. Events are kept for 30 days.',
  tag: 'events',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({
    after: afterField,
    limit: limitField({ defaultLimit: 50, maxLimit: 200 }),
  }),
  success: {
    status: 200,
    schema: z.object({
      events: z.array(z.union([deletedEventSchema, accountEventSchema])),
      nextAfter: z.int().meta({ description: 'The value of `after` for the next page.' }),
      oldestSeq: seqField.meta({
        description: 'The lowest sequence number that is still kept; `null` while there are no events.',
      }),
      latestSeq: seqField.meta({ description: 'The highest sequence number; `null` while there are no events.' }),
    }),
  },
  errors: [],

  async handle({ query, actor, em }) {
    const { after, limit } = query;
    const { events, oldestSeq, latestSeq } = await findAccountEvents(em, { accountId: actor.accountId, after, limit });
    return { events: events.map(presentAccountEvent), nextAfter: events.at(-1)?.seq ?? after, oldestSeq, latestSeq };
  },
});
