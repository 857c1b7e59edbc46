import { z } from 'zod';
import { listLedger as findLedger } from '../../../database/billing/list-ledger.ts';
import { formatUsd } from '../../../domain/money/money.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { byCreation, nextCursor, paginate } from '../../contract/pagination.ts';

const pages = paginate('ledger', byCreation);

export const listLedger = defineOperation({
  method: 'GET',
  path: '/billing/ledger',
  operationId: 'billing.ledger',
  summary: 'List the lines of your ledger, newest first',
  description:
    'The balance is the sum of all amounts, minus the charges for running time and model calls that are not in the ledger yet.',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object(pages.fields),
  success: {
    status: 200,
    schema: z.object({
      entries: z.array(
        z.object({
          entryId: z.string(),
          at: timestamp.meta({ description: 'When the line was booked. For a debit, the end of the charged span.' }),
          kind: z.enum(['credit', 'debit', 'reversal', 'writeoff']),
          amountNanoUsd: z
            .string()
            .meta({ description: 'What the line adds to the balance, in 10^-9 USD; negative for a charge.' }),
          instanceId: idField('inst').nullable(),
          intervalId: z
            .string()
            .nullable()
            .meta({ description: 'The interval of running time that was charged; `null` for other lines.' }),
          from: timestamp
            .nullable()
            .meta({ description: 'The beginning of the charged span; `null` when the line charges nothing.' }),
          to: timestamp.nullable().meta({ description: 'The end of the charged span; `null` when the line charges nothing.' }),
          pricePerHourUsd: z.string().nullable(),
          agentId: idField('agt').nullable().meta({
            description:
              'The agent whose model calls were charged; `null` for other lines. Its calls are those that ended in the span.',
          }),
          model: z
            .string()
            .nullable()
            .meta({ description: 'The model that was called; `null` when the line charges no model calls.' }),
          calls: z
            .int()
            .nullable()
            .meta({ description: 'The number of charged calls; `null` when the line charges no model calls.' }),
          reason: z.string().nullable(),
        }),
      ),
      nextCursor,
    }),
  },
  errors: [],

  async handle({ query, actor, em }) {
    const { limit, cursor } = query;
    const rows = await findLedger(em, { accountId: actor.accountId, after: cursor, limit: limit + 1 });
    const page = pages.page(rows, limit, ({ atMs, entryId }) => [atMs, entryId]);
    const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
    const entries = page.items.map(({ atMs, fromMs, toMs, priceNanoUsdPerHour: price, ...entry }) => ({
      ...entry,
      at: new Date(atMs).toISOString(),
      from: time(fromMs),
      to: time(toMs),
      pricePerHourUsd: price === null ? null : formatUsd(BigInt(price)),
    }));
    return { entries, nextCursor: page.nextCursor };
  },
});
