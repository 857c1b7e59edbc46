import { acceptTurn } from '../../turns/accept-turn.ts';
import type { AcceptedTurn } from '../../turns/accept-turn.ts';
import { turnSettings } from '../../turns/turn-deps.ts';
import { completeReply } from '../../database/messages/complete-reply.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { TurnEnd } from '../../domain/turn.ts';
import type { ApiClient } from '../support/api-client.ts';
import type { ApiUnderTest } from './api-under-test.ts';
import { gateOf, UNCOUNTED } from '../support/gate-of.ts';

/** What a worker would have written, for tests that run without one. */

/** Creates an instance; it stays as the API has left it. */
export async function newInstance(account: ApiClient, name = 'mine'): Promise<string> {
  return (await account.ok('POST', '/instances', { name })).instanceId;
}

/** The instance runs from now on, and has all content. */
export async function makeRunning(api: ApiUnderTest, instanceId: string, bootId = `boot-of-${instanceId}`): Promise<void> {
  await api.sql(
    `update instances set status = 'running', transition_kind = null, transition_started_at = null, boot_id = ?,
            started_at = now() where id = ? returning id`,
    [bootId, instanceId],
  );
  await applyContent(api, instanceId);
}

/** The instance has fallen asleep, and its gateway has ended. */
export async function makeAsleep(api: ApiUnderTest, instanceId: string): Promise<void> {
  await api.sql(
    `update instances set status = 'stopped', transition_kind = null, transition_started_at = null, boot_id = null, gateway_epoch = 0,
            stopped_at = now(), sleep_state = 'asleep', sleep_since = now(), sleep_after_ms = coalesce(sleep_after_ms, 60000) where id = ? returning id`,
    [instanceId],
  );
}

/** The gateway has every agent and file. */
export async function applyContent(api: ApiUnderTest, instanceId: string): Promise<void> {
  await api.sql(`update agents set status = 'active' where instance_id = ? and deleted_at is null returning id`, [instanceId]);
  await api.sql('update instances set applied_content_generation = content_generation where id = ? returning id', [instanceId]);
}

/** Adds an agent to an instance that does not run, where nothing is waited for. */
export async function newAgent(account: ApiClient, instanceId: string, slug = 'support-bot'): Promise<string> {
  const agent = { name: 'support', slug, displayName: 'Support Bot' };
  return (await account.ok('POST', `/instances/${instanceId}/agents`, agent)).agentId;
}

/** An active agent of an instance that runs. */
export async function newRunningAgent(api: ApiUnderTest, account: ApiClient): Promise<{ instanceId: string; agentId: string }> {
  const instanceId = await newInstance(account);
  const agentId = await newAgent(account, instanceId);
  await makeRunning(api, instanceId);
  return { instanceId, agentId };
}

/** A job of the agent, as its gateway was last seen to have it. */
export async function newCron(
  api: ApiUnderTest,
  { instanceId, agentId }: { instanceId: string; agentId: string },
  name = 'Daily digest',
): Promise<string> {
  const id = api.deps.makeId('cron');
  await api.sql(
    `insert into cron_jobs (id, instance_id, agent_id, gateway_job_id, created_by, name, schedule, message, enabled, next_run_at,
                            created_at, seen_at)
     values (?, ?, ?, ?, 'api', ?, '{"kind":"every","everyMs":60000}', 'Look around', true, now(), now(), now()) returning id`,
    [id, instanceId, agentId, `job-of-${id}`, name],
  );
  return id;
}

interface TurnOptions {
  text?: string;
  sessionId?: string;
}

/** A turn of a running instance that nobody here sends. */
export async function newTurn(
  api: ApiUnderTest,
  of: { instanceId: string; agentId: string },
  { text = 'Hello', sessionId = '' }: TurnOptions = {},
): Promise<AcceptedTurn> {
  return runTransaction(api.orm.em, async (em) =>
    acceptTurn(em, await gateOf(em, of), {
      ...of,
      sessionId,
      text,
      ...UNCOUNTED,
      sender: { type: 'human', id: 'user-123', name: 'Jeff' },
      owner: 'proc_of_somebody_else',
      makeId: api.deps.makeId,
      now: api.deps.clock(),
    }),
  );
}

/** Ends a turn as its gateway would. */
export async function endTurn(api: ApiUnderTest, messageId: string, end: TurnEnd): Promise<void> {
  const options = { makeId: api.deps.makeId, now: api.deps.clock(), ...turnSettings(api.deps.config), abortDue: false };
  await runTransaction(api.orm.em, (em) => completeReply(em, messageId, end, options));
}
