import { z } from 'zod';
import { AppError } from '../../../domain/errors.ts';
import { inSlices } from '../../../lib/async/in-slices.ts';
import { MaskBudgetError, maskTexts } from '../../../lib/text/mask.ts';
import type { LogLine } from '../../../runtime/driver.ts';
import { findHiddenValues, hideTokens } from '../../../turns/steps/hidden-values.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { timestamp } from '../../contract/fields.ts';
import { findInstance } from '../../find-instance.ts';
import { limitField } from '../../contract/pagination.ts';
import { instanceParams } from './instance.schema.ts';

export const getLogs = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/logs',
  operationId: 'instances.logs',
  summary: 'Get the latest log lines of an instance, oldest first',
  tag: 'instances',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object({ limit: limitField({ defaultLimit: 200, maxLimit: 1_000 }) }),
  success: {
    status: 200,
    schema: z.object({
      lines: z.array(
        z.object({
          at: timestamp.nullable().meta({ description: 'When the line was written; `null` when the line has no time.' }),
          text: z.string(),
        }),
      ),
    }),
  },
  errors: [],

  async load({ params, actor, em }) {
    return findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ query, loaded, em, deps }) {
    const lines = await deps.readLog(em, loaded.runtimeId, query.limit);
    const { id: instanceId, runtimeId } = loaded;
    return { lines: await masked(lines, await findHiddenValues(em, deps.config.MASTER_KEYS, { instanceId, runtimeId })) };
  },
});

/** The lines without these values and without any token. Throws `unavailable` when that would take too long. */
async function masked(lines: readonly LogLine[], hidden: readonly string[]): Promise<LogLine[]> {
  try {
    const texts = await inSlices(
      maskTexts(
        hidden,
        lines.map(({ text }) => text),
      ),
    );
    return lines.map(({ at }, index) => ({ at, text: hideTokens(texts[index] ?? '') }));
  } catch (cause) {
    if (!(cause instanceof MaskBudgetError)) throw cause;
    throw new AppError(
      'unavailable',
      'The log cannot be shown because the secrets of this instance have too many lines to mask. Store fewer or shorter secrets.',
      { retryable: false, cause },
    );
  }
}
