import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { WaitingAttachments } from '../entities/waiting-attachments.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { NOW, sql } from '../sql.ts';

const w = columns(WaitingAttachments, 'w');

const FIELDS = { requestMessageId: w.requestMessageId, runtimeId: w.runtimeId, gatewayAgentId: w.gatewayAgentId, paths: w.paths };

/** The attachments of a message that is not accepted yet, and where they lie. */
export type Waiting = RowOf<typeof FIELDS>;

/** Longer than a call takes that puts attachments and accepts their message. */
const LEFT = sql`interval '1 hour'`;
/** How many are removed at a time. */
const AT_ONCE = 20;

/** Notes what is going to be put into a workspace, before it is: so a process that dies leaves nothing that is not known. */
export async function noteWaiting(em: EntityManager, instanceId: string, waiting: Waiting): Promise<void> {
  await db(em)
    .insertInto('WaitingAttachments')
    .values({ ...waiting, instance: instanceId, createdAt: NOW })
    .execute();
}

/** In the transaction that accepts their message, or after they were removed: they wait no more. False when they are being removed. */
export async function forgetWaiting(em: EntityManager, requestMessageId: string): Promise<boolean> {
  const { numDeletedRows } = await db(em)
    .deleteFrom('WaitingAttachments')
    .where('requestMessageId', '=', requestMessageId)
    .where('removingAt', 'is', null)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** Those whose call died: they are to be removed, and are given out again after an hour when that fails. */
export function claimLeft(em: EntityManager): Promise<Waiting[]> {
  const { requestMessageId, createdAt, removingAt } = columns(WaitingAttachments);
  return fetchRows(
    em,
    FIELDS,
    (fields) => sql`
      update waiting_attachments w set ${removingAt} = now()
        from (select ${requestMessageId} from waiting_attachments
               where ${createdAt} < now() - ${LEFT} and (${removingAt} is null or ${removingAt} < now() - ${LEFT})
               order by ${createdAt} limit ${AT_ONCE} for update skip locked) due
       where ${w.requestMessageId} = due.${requestMessageId} returning ${fields}`,
  );
}

/** Once they are removed. */
export async function forgetLeft(em: EntityManager, requestMessageId: string): Promise<void> {
  await db(em)
    .deleteFrom('WaitingAttachments')
    .where('requestMessageId', '=', requestMessageId)
    .where('removingAt', 'is not', null)
    .execute();
}
