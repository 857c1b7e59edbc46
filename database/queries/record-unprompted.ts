import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import type { FinishReason } from '../../domain/turn.ts';
import { recordEvent } from './record-event.ts';

export interface UnpromptedMessage {
  instanceId: string;
  /** The agent's name inside the gateway. */
  gatewayAgentId: string;
  runId: string;
  content: string;
  finishReason: FinishReason;
}

/** Names what one run said for ever. */
export function runOccurrence(runId: string): string {
  return `run:${runId}`;
}

/**
 * Records what an agent said by itself as its event, in the caller's transaction, which must do nothing after it. False,
 * and nothing changed, when it was recorded before, or when its agent or instance was deleted.
 */
export async function recordUnprompted(
  em: EntityManager,
  { instanceId, gatewayAgentId, runId, content, finishReason }: UnpromptedMessage,
  { makeId, now }: { makeId: MakeId; now: Date },
): Promise<boolean> {
  const [agent] = await em.execute<{ accountId: string; agentId: string; slug: string; displayName: string }[]>(
    `select agents.account_id as "accountId", agents.id as "agentId", agents.slug, agents.display_name as "displayName"
       from agents join instances on instances.id = agents.instance_id and instances.desired_status <> 'destroyed'
      where agents.instance_id = ? and agents.gateway_agent_id = ? and agents.deleted_at is null`,
    [instanceId, gatewayAgentId],
  );
  if (!agent) return false;
  const seq = await recordEvent(em, {
    id: makeId('evt'),
    accountId: agent.accountId,
    instanceId,
    type: 'agent.message',
    agentId: agent.agentId,
    agentSlug: agent.slug,
    agentName: agent.displayName,
    source: 'agent',
    messageId: null,
    content,
    finishReason,
    jobName: null,
    error: null,
    createdAt: now,
    occurrenceKey: runOccurrence(runId),
  });
  return seq !== null;
}

/** Until when everything that the instance's agents said by themselves is recorded; null: not known. */
export async function messagesReadTo(em: EntityManager, instanceId: string): Promise<number | null> {
  const [row] = await em.execute<{ ms: number | null }[]>(
    'select (extract(epoch from messages_read_to) * 1000)::float8 as ms from instances where id = ?',
    [instanceId],
  );
  return row?.ms ?? null;
}

/** Everything that its agents said by themselves until then is recorded. Never goes back. */
export async function noteMessagesRead(em: EntityManager, instanceId: string, until: Date): Promise<void> {
  await em.execute(
    'update instances set messages_read_to = ? where id = ? and coalesce(messages_read_to < ?, true)',
    [until, instanceId, until],
    'run',
  );
}
