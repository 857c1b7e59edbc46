import type { EntityManager } from '@mikro-orm/postgresql';
import type { FinishReason } from '../../domain/turn.ts';
import { claimOccurrence } from '../events/record-event.ts';
import { recordSpoken } from './record-spoken.ts';
import type { RecordOptions } from './record-spoken.ts';
import { isStorageFull } from '../accounts/stored-bytes.ts';
import { db } from '../db.ts';

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
  const speaker = await db(em)
    .selectFrom('Agent as agents')
    .innerJoin('Instance as instances', 'instances.id', 'agents.instance')
    .select([
      'agents.account as accountId',
      'agents.instance as instanceId',
      'agents.id as agentId',
      'agents.slug',
      'agents.displayName',
    ])
    .where('agents.instance', '=', instanceId)
    .where('agents.gatewayAgentId', '=', gatewayAgentId)
    .where('agents.deletedAt', 'is', null)
    .where('instances.desiredStatus', '<>', 'destroyed')
    .forShare('instances')
    .executeTakeFirst();
  if (!speaker || (await isStorageFull(em, speaker.accountId, options.maxStoredBytes))) return false;
  if (!(await claimOccurrence(em, instanceId, runOccurrence(runId)))) return false;
  const eventId = options.makeId('evt');
  const facts = { jobName: null, contentTruncated: false, finishReason, error: null };
  await recordSpoken(em, { eventId, speaker, conversationId, saidAt: saidAt ?? options.now, content, ...facts }, options);
  return true;
}

/** Until when everything that the instance's agents said unprompted is recorded; null: not known. */
export async function messagesReadTo(em: EntityManager, instanceId: string): Promise<number | null> {
  const instance = await db(em).selectFrom('Instance').select('messagesReadTo').where('id', '=', instanceId).executeTakeFirst();
  return instance?.messagesReadTo?.getTime() ?? null;
}

/** Notes that everything that its agents said unprompted until then is recorded. Never goes back. */
export async function noteMessagesRead(em: EntityManager, instanceId: string, until: Date): Promise<void> {
  await db(em)
    .updateTable('Instance')
    .set({ messagesReadTo: until })
    .where('id', '=', instanceId)
    .where((eb) => eb.or([eb('messagesReadTo', 'is', null), eb('messagesReadTo', '<', until)]))
    .execute();
}
