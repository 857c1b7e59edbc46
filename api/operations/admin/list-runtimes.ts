import { z } from 'zod';
import { listRuntimes as findRuntimes, RUNTIME_STATES } from '../../../database/nodes/list-runtimes.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { byCreation, nextCursor, paginate } from '../../contract/pagination.ts';

const pages = paginate('runtimes', byCreation);

const state = z.enum(RUNTIME_STATES).meta({
  description:
    '`warming`: a gateway of the pool that cannot be claimed now, because it starts or is kept warm. `ready`: a gateway of the pool that the next ' +
    'new instance can claim. `ending`: a gateway that is removed from the pool. `claimed`: an instance has the runtime, and its gateway starts, restarts or ' +
    'stops. `awake`: the gateway accepts messages. `suspended`: the gateway of a sleeping instance is halted and its memory is in swap. `stopped`: no gateway runs. `unowned`: neither an instance nor the pool has the runtime.',
});

const runtimeSchema = z
  .object({
    runtimeId: z.string().meta({ description: 'The id of the runtime, which is also the name of its directory or container.' }),
    state,
    instanceId: idField('inst')
      .nullable()
      .meta({ description: 'The instance that has the runtime; `null` when no instance has it.' }),
    accountId: idField('acc').nullable(),
    node: z.string().nullable().meta({ description: 'The node that has the runtime; `null` until it is placed on one.' }),
    driver: z.string().nullable().meta({
      description: 'How its last gateway was started, such as `process` or `docker`; `null` when none was started yet.',
      example: 'docker',
    }),
    pin: z.string().nullable().meta({
      description: 'The version of OpenClaw or the image of its last gateway; `null` when none was started yet.',
      example: '2026.9.6',
    }),
    createdAt: timestamp,
    readyAt: timestamp
      .nullable()
      .meta({ description: 'When a gateway of the pool was ready for the first time; `null` for all other runtimes.' }),
    claimedAt: timestamp
      .nullable()
      .meta({ description: 'When an instance claimed the runtime from the pool; `null` when it was started for its instance.' }),
  })
  .meta({ id: 'Runtime' });

export const listRuntimes = defineOperation({
  method: 'GET',
  path: '/admin/runtimes',
  operationId: 'runtimes.list',
  summary: 'List the runtimes of all nodes, newest first',
  description: 'A runtime is a gateway with its storage. Runtimes of deleted instances are not listed.',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  query: z.object({
    ...pages.fields,
    state: state.optional(),
    node: z.string().min(1).max(253).optional().meta({ description: 'List only the runtimes of this node.' }),
  }),
  success: { status: 200, schema: z.object({ runtimes: z.array(runtimeSchema), nextCursor }) },
  errors: [],

  async handle({ query, em }) {
    const { limit, cursor, state: wanted, node } = query;
    const rows = await findRuntimes(em, { state: wanted, node, after: cursor, limit: limit + 1 });
    const page = pages.page(rows, limit, ({ createdAt, runtimeId }) => [createdAt.getTime(), runtimeId]);
    const runtimes = page.items.map(({ createdAt, readyAt, claimedAt, ...row }) => ({
      ...row,
      createdAt: createdAt.toISOString(),
      readyAt: readyAt?.toISOString() ?? null,
      claimedAt: claimedAt?.toISOString() ?? null,
    }));
    return { runtimes, nextCursor: page.nextCursor };
  },
});
