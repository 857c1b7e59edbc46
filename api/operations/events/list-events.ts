import { z } from 'zod';
import { findAccountEvents } from '../../../database/queries/find-events.ts';
import { defineOperation } from '../../define-operation.ts';
import { limitField } from '../../pagination.ts';
import { accountEventSchema, deletedEventSchema, presentAccountEvent } from './event.schema.ts';

const seqField = z.int().nonnegative().nullable();

export const listEvents = defineOperation({
  method: 'GET',
  path: '/events',
  operationId: 'events.list',
  summary: 'Read the events of the account in order',
  description:
    'For consumers that must miss nothing: pass `nextAfter` as `after`. Between `oldestSeq` and `latestSeq` no number is missing. A page with long contents may hold fewer events than `limit`; the last page is an empty one. Events are kept for 30 days.',
  tag: 'events',
  auth: 'account',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({
    after: z
      .string()
      .regex(/^\d+$/, 'Must be a whole number from 0.')
      .transform((text) => Math.min(Number(text), Number.MAX_SAFE_INTEGER))
      .default(0)
      .meta({
        description: 'Only events with a greater number.',
        override: ({ jsonSchema }) => {
          delete jsonSchema.pattern;
          Object.assign(jsonSchema, { type: 'integer', minimum: 0, default: 0 });
        },
      }),
    limit: limitField({ defaultLimit: 50, maxLimit: 200 }),
  }),
  success: {
    status: 200,
    schema: z.object({
      events: z.array(z.union([deletedEventSchema, accountEventSchema])),
      nextAfter: z.int().meta({ description: 'What to pass as `after` next.' }),
      oldestSeq: seqField.meta({ description: 'The first number that is kept; null while there is none.' }),
      latestSeq: seqField,
    }),
  },
  errors: [],

  async handle({ query, actor, em }) {
    const { after, limit } = query;
    const { events, oldestSeq, latestSeq } = await findAccountEvents(em, { accountId: actor.accountId, after, limit });
    return { events: events.map(presentAccountEvent), nextAfter: events.at(-1)?.seq ?? after, oldestSeq, latestSeq };
  },
});
