import { z } from 'zod';
import { Instance } from '../../../database/entities/instance.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';
import { metadataFilter } from '../../contract/metadata.ts';
import { instanceSchema, presentInstances } from './instance.schema.ts';

const pages = paginate('instances', byCreation);

export const listInstances = defineOperation({
  method: 'GET',
  path: '/instances',
  operationId: 'instances.list',
  summary: 'List your instances, newest first',
  tag: 'instances',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({ ...pages.fields, metadata: metadataFilter.optional() }),
  success: { status: 200, schema: z.object({ instances: z.array(instanceSchema), nextCursor }) },
  errors: [],

  async handle({ query, actor, em }) {
    const { limit, cursor, metadata } = query;
    const ofKey = actor.limits.instanceId === null ? {} : { id: actor.limits.instanceId };
    const rows = await em.find(
      Instance,
      {
        account: actor.accountId,
        deletedAt: null,
        $and: [ofKey, olderThan(cursor, 'id'), metadata ? { metadata: { $contains: metadata } } : {}],
      },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    return { instances: await presentInstances(em, page.items), nextCursor: page.nextCursor };
  },
});
