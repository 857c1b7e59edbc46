import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Agent } from '../../../database/entities/agent.ts';
import { InstanceSecret } from '../../../database/entities/instance-secret.ts';
import type { Instance } from '../../../database/entities/instance.ts';
import { secretPlace } from '../../../database/secret-place.ts';
import type { Config } from '../../../lib/config.ts';
import { gatewayToken, relayToken } from '../../../runtime/openclaw/tokens.ts';
import { defineOperation } from '../../define-operation.ts';
import type { Deps } from '../../deps.ts';
import { encryptionOf } from '../../encryption-of.ts';
import { timestamp } from '../../fields.ts';
import { findInstance } from '../../find-instance.ts';
import { limitField } from '../../pagination.ts';
import { instanceParams } from './instance.schema.ts';

const MASK = '[masked]';
/** A shorter value is a word like any other, and would take whole lines with it. */
const LEAST_MASKED = 4;

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
    const hidden = [...tokens, ...(await secretsOf(em, loaded, deps))].toSorted((a, b) => b.length - a.length);
    return { lines: lines.map(({ at, text }) => ({ at, text: mask(text, hidden) })) };
  },
});

/** Every token that the instance can have seen, of the active and of the older keys. */
function tokensOf(masterKeys: Config['MASTER_KEYS'], runtimeId: string, agentIds: readonly string[]): string[] {
  return masterKeys.flatMap((key) => [gatewayToken(key, runtimeId), ...agentIds.map((id) => relayToken([key], id))]);
}

/** What of the instance's secrets could be read in a line: each value, as a whole, in JSON, and by its lines. */
async function secretsOf(em: EntityManager, { id, account }: Instance, deps: Deps): Promise<string[]> {
  const encryption = encryptionOf(deps);
  const secrets = await em.find(InstanceSecret, { instance: id });
  return secrets
    .map(({ key, value }) => encryption.decrypt(value, secretPlace({ accountId: account, instanceId: id, key })))
    .flatMap((value) => [value, JSON.stringify(value).slice(1, -1), ...value.split(/\r?\n/)])
    .filter((text) => text.length >= LEAST_MASKED);
}

function mask(text: string, tokens: readonly string[]): string {
  return tokens.reduce((masked, token) => masked.replaceAll(token, MASK), text).replaceAll(/\bBearer\s+\S+/gi, `Bearer ${MASK}`);
}
