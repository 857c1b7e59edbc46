import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { readDatabaseClock } from '../../../database/billing/account-money.ts';
import { listPrices } from '../../../database/billing/set-price.ts';
import { listPaidIntervals, sumModelUsage } from '../../../database/billing/usage.ts';
import type { UsageGroup } from '../../../database/billing/usage.ts';
import { sumRuntime } from '../../../domain/money/usage.ts';
import { givenTime, timestamp } from '../../contract/fields.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const MOST_DAYS = 366;

export const usageRange = {
  from: givenTime.optional().meta({ description: `The beginning of the range. Defaults to ${DEFAULT_DAYS} days before \`to\`.` }),
  to: givenTime.optional().meta({ description: 'The end of the range. Defaults to now.' }),
};

export const usageSchema = z
  .object({
    from: timestamp,
    to: timestamp,
    groupBy: z.enum(['instance', 'agent', 'day', 'model']),
    rows: z.array(
      z.object({
        key: z.string().meta({
          description:
            'The id of the instance, the id of the agent, the day (`YYYY-MM-DD`, UTC) or the model, depending on `groupBy`.',
        }),
        runtimeMs: z.int().meta({ description: 'The charged running time in milliseconds; 0 in rows of agents and models.' }),
        chargedNanoUsd: z.string().meta({ description: 'The charge for running time and model calls, in 10^-9 USD.' }),
        tokensNanoUsd: z.string().meta({ description: 'The part of the charge that is for model calls, in 10^-9 USD.' }),
        messages: z.int().meta({
          description:
            'The number of messages sent to agents, plus those that agents sent without a request. Replies are not counted separately.',
        }),
        inputTokens: z.int().meta({ description: 'The tokens that the models read, cached ones included.' }),
        outputTokens: z.int().meta({ description: 'The tokens that the models wrote, thinking included.' }),
        cacheReadTokens: z.int().meta({ description: 'The input tokens that were read from caches of providers.' }),
        cacheWriteTokens: z.int().meta({ description: 'The input tokens that were written to caches of providers.' }),
        thinkingTokens: z.int().meta({ description: 'The output tokens that the models used for thinking.' }),
      }),
    ),
  })
  .meta({ id: 'Usage' });

const UNUSED = {
  ...{ messages: 0, inputTokens: 0, outputTokens: 0 },
  ...{ cacheReadTokens: 0, cacheWriteTokens: 0, thinkingTokens: 0, tokensNanoUsd: '0' },
};

interface UsageQuery {
  accountId: string;
  instanceId: string | null;
  from: Date | undefined;
  to: Date | undefined;
  groupBy: UsageGroup;
}

/** What was used within a range. Throws `invalid_request` for one that ends before it begins, or is too long. */
export async function findUsage(em: EntityManager, query: UsageQuery): Promise<z.input<typeof usageSchema>> {
  const { accountId, instanceId, groupBy } = query;
  const to = query.to ?? (await readDatabaseClock(em));
  const from = query.from ?? new Date(to.getTime() - DEFAULT_DAYS * DAY_MS);
  requireRange(from, to);
  const range = { accountId, instanceId, from, to };
  const models = new Map((await sumModelUsage(em, groupBy, range)).map((row) => [row.key, row]));
  const runtime = groupBy === 'agent' || groupBy === 'model' ? [] : await findRuntime(em, groupBy, range);
  const keys = [...new Set([...models.keys(), ...runtime.map(({ key }) => key)])].toSorted();
  const rows = keys.map((key) => {
    const { runtimeMs, chargedNanoUsd } = runtime.find((row) => row.key === key) ?? { runtimeMs: 0, chargedNanoUsd: 0n };
    const used = models.get(key) ?? { ...UNUSED, key };
    return { ...used, runtimeMs, chargedNanoUsd: (chargedNanoUsd + BigInt(used.tokensNanoUsd)).toString() };
  });
  return { from: from.toISOString(), to: to.toISOString(), groupBy, rows };
}

async function findRuntime(
  em: EntityManager,
  group: 'instance' | 'day',
  range: { accountId: string; instanceId: string | null; from: Date; to: Date },
) {
  const intervals = await listPaidIntervals(em, range);
  const prices = await listPrices(em);
  return sumRuntime(intervals, { prices, group, range: { from: range.from.getTime(), to: range.to.getTime() } });
}

function requireRange(from: Date, to: Date): void {
  const refuse = (path: string, message: string): never => {
    throw invalidRequest([{ path, message }]);
  };
  if (from >= to) refuse('from', 'Must be before the end of the range (`to`).');
  if (to.getTime() - from.getTime() > MOST_DAYS * DAY_MS) refuse('from', `The range can have at most ${MOST_DAYS} days.`);
}
