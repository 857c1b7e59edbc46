import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** The attachments of a message that is not accepted yet, and where they lie. */
export interface Waiting {
  requestMessageId: string;
  runtimeId: string;
  gatewayAgentId: string;
  paths: string[];
}

/** Longer than a call takes that puts attachments and accepts their message. */
const LEFT = sql`interval '1 hour'`;
/** How many are removed at a time. */
const AT_ONCE = 20;

/** Notes what is going to be put into a workspace, before it is: so a process that dies leaves nothing that is not known. */
export async function noteWaiting(em: EntityManager, instanceId: string, waiting: Waiting): Promise<void> {
  const { requestMessageId, runtimeId, gatewayAgentId, paths } = waiting;
  await run(
    em,
    sql`insert into waiting_attachments (request_message_id, instance_id, runtime_id, gateway_agent_id, paths, created_at)
     values (${requestMessageId}, ${instanceId}, ${runtimeId}, ${gatewayAgentId}, ${JSON.stringify(paths)}::jsonb, now())`,
  );
}

/** In the transaction that accepts their message, or after they were removed: they wait no more. False when they are being removed. */
export async function forgetWaiting(em: EntityManager, requestMessageId: string): Promise<boolean> {
  const count = await run(
    em,
    sql`delete from waiting_attachments where request_message_id = ${requestMessageId} and removing_at is null`,
  );
  return count > 0;
}

/** Those whose call died: they are to be removed, and are given out again after an hour when that fails. */
export function claimLeft(em: EntityManager): Promise<Waiting[]> {
  return query<Waiting>(
    em,
    sql`update waiting_attachments w set removing_at = now()
          from (select request_message_id from waiting_attachments
                 where created_at < now() - ${LEFT} and (removing_at is null or removing_at < now() - ${LEFT})
                 order by created_at limit ${AT_ONCE} for update skip locked) due
         where w.request_message_id = due.request_message_id
         returning w.request_message_id as "requestMessageId", w.runtime_id as "runtimeId", w.gateway_agent_id as "gatewayAgentId",
                   w.paths`,
  );
}

/** Once they are removed. */
export async function forgetLeft(em: EntityManager, requestMessageId: string): Promise<void> {
  await run(em, sql`delete from waiting_attachments where request_message_id = ${requestMessageId} and removing_at is not null`);
}
