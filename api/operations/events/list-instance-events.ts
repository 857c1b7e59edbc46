import { z } from 'zod';
import { findInstanceEvents } from '../../../database/events/find-events.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { nextCursor, paginate } from '../../contract/pagination.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { eventSchema, presentEvent } from './event.schema.ts';

const pages = paginate('instance-events', z.int().positive());

export const listInstanceEvents = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/events',
  operationId: 'events.listOfInstance',
  summary: 'List the events of an instance, newest first',
  description: 'Returns the results of cron jobs, the messages of agents and the errors of the last 30 days.',
  tag: 'events',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object({
    ...pages.fields,
    agent: z.string().optional().meta({ description: 'Only return events of the agent with this slug.' }),
    source: z
      .enum(['cron', 'agent'])
      .optional()
      .meta({ description: 'Only return events of cron jobs (`cron`), or other events of agents (`agent`).' }),
  }),
  success: {
    status: 200,
    schema: z.object({
      events: z.array(eventSchema),
      total: z.int().meta({ description: 'The number of kept events that match the filters, at most 10,000.' }),
      totalCapped: z.literal(true).optional().meta({ description: 'Present when more than 10,000 events match.' }),
      nextCursor,
    }),
  },
  errors: [],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, query, em }) {
    const { limit, cursor, agent, source } = query;
    const filter = { instanceId: params.instanceId, agentSlug: agent, source };
    const { events, hasMore, total, totalCapped } = await findInstanceEvents(em, filter, { before: cursor, limit });
    const page = pages.pageOf(events, hasMore, ({ seq }) => seq);
    const counted = { total, ...(totalCapped ? { totalCapped } : {}) };
    return { events: page.items.map(presentEvent), ...counted, nextCursor: page.nextCursor };
  },
});
