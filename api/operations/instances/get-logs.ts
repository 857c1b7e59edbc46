import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { InstanceSecret } from '../../../database/entities/instance-secret.ts';
import type { Instance } from '../../../database/entities/instance.ts';
import { secretPlace } from '../../../database/secret-place.ts';
import { AppError } from '../../../domain/errors.ts';
import { createMask, MASK, MaskBudgetError } from '../../../lib/text/mask.ts';
import type { LogLine } from '../../../runtime/driver.ts';
import { gatewayToken, RELAY_TOKENS } from '../../../runtime/engine.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import type { Deps } from '../../deps.ts';
import { encryptionOf } from '../../security/encryption-of.ts';
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
    const tokens = deps.config.MASTER_KEYS.map((key) => gatewayToken(key, loaded.runtimeId));
    return { lines: masked(lines, [...tokens, ...(await secretsOf(em, loaded, deps))]) };
  },
});

async function secretsOf(em: EntityManager, { id, account }: Instance, deps: Deps): Promise<string[]> {
  const encryption = encryptionOf(deps);
  const secrets = await em.find(InstanceSecret, { instance: id });
  return secrets.map(({ key, value }) => encryption.decrypt(value, secretPlace({ accountId: account, instanceId: id, key })));
}

/** The lines without these values and without any token. Throws `unavailable` when that would take too long. */
function masked(lines: readonly LogLine[], hidden: readonly string[]): LogLine[] {
  try {
    const mask = createMask(hidden);
    return lines.map(({ at, text }) => ({
      at,
      text: mask(text)
        .replaceAll(RELAY_TOKENS, MASK)
        .replaceAll(/\bBearer\s+\S+/gi, `Bearer ${MASK}`),
    }));
  } catch (cause) {
    if (!(cause instanceof MaskBudgetError)) throw cause;
    throw new AppError(
      'unavailable',
      'The log cannot be shown because the secrets of this instance have too many lines to mask. Store fewer or shorter secrets.',
      { retryable: false, cause },
    );
  }
}
