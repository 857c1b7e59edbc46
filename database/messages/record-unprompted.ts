import type { EntityManager } from '@mikro-orm/postgresql';
import type { FinishReason } from '../../domain/turn.ts';
import { claimOccurrence } from '../events/record-event.ts';
import { recordSpoken } from './record-spoken.ts';
import type { RecordOptions, Speaker } from './record-spoken.ts';
import { isStorageFull } from '../accounts/stored-bytes.ts';
import { query, run, sql } from '../sql.ts';

export interface UnpromptedMessage {
  instanceId: string;
  /** The agent's name inside the gateway. */
  gatewayAgentId: string;
  runId: string;
  /** The conversation in which it was said; null: the gateway's own session of the agent. */
  conversationId: string | null;
  /** By the gateway's clock; null: not known. */
  saidAt: Date | null;
  content: string;
  finishReason: FinishReason;
}

/** Names what one run said for ever. */
export function runOccurrence(runId: string): string {
  return `run:${runId}`;
}

/**
 * Records what an agent said unprompted as a message with its event, in the caller's transaction, which must do nothing
 * after it. False, and nothing changed, when it was recorded before, when its agent or instance was deleted, or while its
 * account stores all that it may.
 */
export async function recordUnprompted(
  em: EntityManager,
  { instanceId, gatewayAgentId, runId, conversationId, saidAt, content, finishReason }: UnpromptedMessage,
  options: RecordOptions,
): Promise<boolean> {
  const [speaker] = await query<Speaker>(
    em,
    sql`select agents.account_id as "accountId", agents.instance_id as "instanceId", agents.id as "agentId", agents.slug,
            agents.display_name as "displayName"
       from agents join instances on instances.id = agents.instance_id and instances.desired_status <> 'destroyed'
      where agents.instance_id = ${instanceId} and agents.gateway_agent_id = ${gatewayAgentId} and agents.deleted_at is null
        for share of instances`,
  );
  if (!speaker || (await isStorageFull(em, speaker.accountId, options.maxStoredBytes))) return false;
  if (!(await claimOccurrence(em, instanceId, runOccurrence(runId)))) return false;
  const eventId = options.makeId('evt');
  const facts = { jobName: null, contentTruncated: false, finishReason, error: null };
  await recordSpoken(em, { eventId, speaker, conversationId, saidAt: saidAt ?? options.now, content, ...facts }, options);
  return true;
}

/** Until when everything that the instance's agents said unprompted is recorded; null: not known. */
export async function messagesReadTo(em: EntityManager, instanceId: string): Promise<number | null> {
  const [row] = await query<{ ms: number | null }>(
    em,
    sql`select (extract(epoch from messages_read_to) * 1000)::float8 as ms from instances where id = ${instanceId}`,
  );
  return row?.ms ?? null;
}

/** Notes that everything that its agents said unprompted until then is recorded. Never goes back. */
export async function noteMessagesRead(em: EntityManager, instanceId: string, until: Date): Promise<void> {
  await run(
    em,
    sql`update instances set messages_read_to = ${until} where id = ${instanceId} and coalesce(messages_read_to < ${until}, true)`,
  );
}
