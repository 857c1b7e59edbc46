import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runSchemathesis } from '../support/schemathesis.ts';
import { OPERATOR_TOKEN, startApi } from './api-under-test.ts';
import type { ApiUnderTest } from './api-under-test.ts';
import { makeRunning, newAgent, newCron, newInstance, newTurn } from './rows.ts';

/** The same calls in each run, so that a change of ours is what makes it fail. */
const SEED = process.env['SEED'] ?? '7';
const SECONDS = Number(process.env['SCHEMATHESIS_SECONDS'] ?? 40);
const INSTALL_AND_REPORT_MS = 300_000;

let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '100000' } });
});

afterAll(() => api.close());

/** As if a worker had stopped every instance at once; and a logout does not end the run. */
const STAND_STILL = `
create function stop_at_once() returns trigger language plpgsql as $$
begin
  if new.desired_status <> 'destroyed' then new.desired_status := 'stopped'; end if;
  new.status := 'stopped';
  new.transition_kind := null;
  new.transition_started_at := null;
  return new;
end $$;
create trigger stop_at_once before insert or update on instances for each row execute function stop_at_once();
create function keep_tokens() returns trigger language plpgsql as $$
begin
  new.token_version := old.token_version;
  return new;
end $$;
create trigger keep_tokens before update on accounts for each row execute function keep_tokens();
select 1`;

/** An account with one of everything, and spare ones to delete: what the configuration names. */
async function makeWorld(): Promise<Record<string, string>> {
  const account = await api.newAccount({ creditUsd: '1000000' });
  const [instanceId, spareInstanceId] = [await newInstance(account), await newInstance(account, 'spare')];
  const [agentId, spareAgentId] = [await newAgent(account, instanceId), await newAgent(account, instanceId, 'spare')];
  const webhook = { url: 'https://203.0.112.1/', events: ['*'] };
  const { webhookId } = await account.ok('POST', '/webhooks', webhook);
  const { webhookId: spareWebhookId } = await account.ok('POST', '/webhooks', webhook);
  const { deliveryId } = await account.ok('POST', `/webhooks/${webhookId}/test`);
  const budget = { name: 'mine', scope: {}, period: 'day', limitUsd: '1000000' };
  const { budgetId } = await account.ok('POST', '/budgets', budget);
  const { budgetId: spareBudgetId } = await account.ok('POST', '/budgets', budget);
  const cronId = await newCron(api, { instanceId, agentId });
  await makeRunning(api, instanceId);
  const { messageId } = await newTurn(api, { instanceId, agentId });
  const { conversationId: spareConversationId } = await newTurn(api, { instanceId, agentId }, { sessionId: 'spare' });
  await api.sql(STAND_STILL);
  await api.sql('update instances set status = status returning id');
  return {
    TOKEN: account.token,
    OPERATOR_TOKEN,
    ACCOUNT_ID: account.accountId,
    INSTANCE_ID: instanceId,
    SPARE_INSTANCE_ID: spareInstanceId,
    AGENT_ID: agentId,
    SPARE_AGENT_ID: spareAgentId,
    MESSAGE_ID: messageId,
    SPARE_CONVERSATION_ID: spareConversationId,
    CRON_ID: cronId,
    WEBHOOK_ID: webhookId,
    SPARE_WEBHOOK_ID: spareWebhookId,
    DELIVERY_ID: deliveryId,
    BUDGET_ID: budgetId,
    SPARE_BUDGET_ID: spareBudgetId,
  };
}

test(
  'schemathesis finds nothing',
  async () => {
    const { code, output } = await runSchemathesis(
      [`${api.url}/v1/openapi.json`, '--seed', SEED, '--max-time', String(SECONDS)],
      {
        config: join(import.meta.dirname, 'schemathesis.toml'),
        env: { ...(await makeWorld()), HOOKS: join(import.meta.dirname, 'schemathesis-hooks.py') },
      },
    );
    process.stderr.write(output);
    expect(code).toBe(0);
  },
  SECONDS * 1_000 + INSTALL_AND_REPORT_MS,
);
