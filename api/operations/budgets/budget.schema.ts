import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { findBudget } from '../../../database/budgets/list-budgets.ts';
import type { BudgetView } from '../../../database/budgets/list-budgets.ts';
import { BUDGET_PERIODS, EACH, resetsAt } from '../../../domain/money/budgets.ts';
import { AppError } from '../../../domain/errors.ts';
import type { IdPrefix } from '../../../domain/ids.ts';
import { formatUsd } from '../../../domain/money/money.ts';
import { amountUsdField, idField, timestamp } from '../../contract/fields.ts';

export const budgetParams = z.object({ budgetId: idField('bud') });

/** One of its kind, or each apart. */
const oneOrEach = (prefix: IdPrefix, what: string) =>
  z
    .union([z.literal(EACH), idField(prefix)])
    .optional()
    .meta({ description: `Only what is spent by this ${what}; \`*\` for each ${what} separately.` });

const nameOrEach = (what: string) =>
  z
    .string()
    .min(1)
    .max(128)
    .optional()
    .meta({ description: `Only what is spent by messages of this ${what}; \`*\` for each ${what} separately.` });

/** An unknown field is refused: without it, the budget would cap the whole account. */
export const scopeField = z
  .strictObject({
    instanceId: oneOrEach('inst', 'instance'),
    agentId: oneOrEach('agt', 'agent'),
    keyId: oneOrEach('key', 'API key'),
    senderId: nameOrEach('sender'),
    sessionId: nameOrEach('session'),
  })
  .meta({
    description:
      'What the budget counts; an empty object is the whole account. Running time counts only for budgets of the account and of instances. A message without a `sessionId` belongs to no session.',
    example: { senderId: '*' },
  });

export const periodField = z.enum(BUDGET_PERIODS).meta({
  description: 'How long the spending adds up before it begins at zero again. Days and months are those of UTC.',
});

export const limitField = amountUsdField
  .refine((nanoUsd) => nanoUsd > 0n, 'Must be greater than zero.')
  .meta({ description: 'The limit, in US dollars.', example: '12.50' });

export const warnAtField = z.int().min(1).max(99).meta({
  description: 'At how many percent of the limit the event `budget.warning` is sent.',
});

const scopeEntry = z.string().optional();

export const budgetSchema = z
  .object({
    budgetId: idField('bud'),
    name: z.string(),
    scope: z.object({
      ...{ instanceId: scopeEntry, agentId: scopeEntry, keyId: scopeEntry, senderId: scopeEntry, sessionId: scopeEntry },
    }),
    period: z.enum(BUDGET_PERIODS),
    limitUsd: z.string().meta({ example: '12.50' }),
    limitNanoUsd: z.string().meta({ description: 'The limit, in 10^-9 USD.' }),
    warnAt: z.int(),
    spentNanoUsd: z.string().meta({
      description: 'What was spent in the present period since the budget was created, in 10^-9 USD; with `*`, by all together.',
    }),
    resetsAt: timestamp.nullable().meta({ description: 'When the next period begins; `null` with the period `total`.' }),
    createdAt: timestamp,
  })
  .meta({ id: 'Budget' });

export function presentBudget(budget: BudgetView, now: Date): z.input<typeof budgetSchema> {
  const { budgetId, name, period, limitNanoUsd, warnAt, spentNanoUsd, createdAtMs } = budget;
  const { instanceId, agentId, keyId, senderId, sessionId } = budget;
  const entries = Object.entries({ instanceId, agentId, keyId, senderId, sessionId }).filter(([, value]) => value !== null);
  return {
    ...{ budgetId, name, period, limitNanoUsd, warnAt, spentNanoUsd },
    scope: z.record(z.string(), z.string()).parse(Object.fromEntries(entries)),
    limitUsd: formatUsd(BigInt(limitNanoUsd)),
    resetsAt: resetsAt(period, now)?.toISOString() ?? null,
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

/** The account's budget as it is now. Throws `not_found`. */
export async function requireOwnBudget(em: EntityManager, accountId: string, budgetId: string): Promise<BudgetView> {
  const budget = await findBudget(em, { accountId, budgetId });
  if (!budget) throw new AppError('not_found', 'Budget not found');
  return budget;
}
