import { z } from 'zod';
import { Agent } from '../../../database/entities/agent.ts';
import type { Config } from '../../../lib/config.ts';
import { gatewayToken, relayToken } from '../../../runtime/openclaw/tokens.ts';
import { defineOperation } from '../../define-operation.ts';
import { timestamp } from '../../fields.ts';
import { findInstance } from '../../find-instance.ts';
import { limitField } from '../../pagination.ts';
import { instanceParams } from './instance.schema.ts';

const MASK = '[masked]';

export const getLogs = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/logs',
  operationId: 'instances.logs',
  summary: "Get the last lines of the instance's own log",
  tag: 'instances',
  auth: 'account',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object({ limit: limitField({ defaultLimit: 200, maxLimit: 1_000 }) }),
  success: {
    status: 200,
    schema: z.object({ lines: z.array(z.object({ at: timestamp.nullable(), text: z.string() })) }),
  },
  errors: [],

  async load({ params, actor, em }) {
    return findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ query, loaded, em, deps }) {
    // Deleted agents too: what was written about them is still there.
    const agents = await em.find(Agent, { instance: loaded.id }, { fields: ['id'] });
    const tokens = tokensOf(
      deps.config.MASTER_KEYS,
      loaded.runtimeId,
      agents.map(({ id }) => id),
    );
    const lines = await deps.driver.logs(loaded.runtimeId, query.limit);
    return { lines: lines.map(({ at, text }) => ({ at, text: mask(text, tokens) })) };
  },
});

/** Every token that the instance can have seen, of the active and of the older keys. */
function tokensOf(masterKeys: Config['MASTER_KEYS'], runtimeId: string, agentIds: readonly string[]): string[] {
  return masterKeys.flatMap((key) => [gatewayToken(key, runtimeId), ...agentIds.map((id) => relayToken([key], id))]);
}

function mask(text: string, tokens: readonly string[]): string {
  return tokens.reduce((masked, token) => masked.replaceAll(token, MASK), text).replaceAll(/\bBearer\s+\S+/gi, `Bearer ${MASK}`);
}
