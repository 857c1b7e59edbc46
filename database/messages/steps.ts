import type { EntityManager } from '@mikro-orm/postgresql';
import { MAX_STEPS } from '../../domain/steps.ts';
import type { Step } from '../../domain/steps.ts';
import { isStorageFull } from '../accounts/stored-bytes.ts';
import { columns, db } from '../db.ts';
import { MessageSteps } from '../entities/message-steps.ts';
import { Message } from '../entities/message.ts';
import { run, sql } from '../sql.ts';

interface StepsOfReply {
  messageId: string;
  steps: readonly Step[];
  now: Date;
  /** How many bytes an account may store: while it stores them, nothing is added. */
  maxStoredBytes: number;
}

/**
 * Adds what is known of the steps of a reply to what is stored, in one statement, so that writers who each know a part of them
 * lose nothing: of a step that both know the one that has ended stays. Repeating it changes nothing.
 */
export async function recordSteps(em: EntityManager, { messageId, steps, now, maxStoredBytes }: StepsOfReply): Promise<void> {
  const reply = await db(em).selectFrom('Message').select('account').where('id', '=', messageId).executeTakeFirst();
  if (!reply || steps.length === 0 || (await isStorageFull(em, reply.account, maxStoredBytes))) return;
  const known = columns(MessageSteps, 'message_steps');
  const given = columns(MessageSteps, 'excluded');
  const c = columns(MessageSteps);
  const { id, account } = columns(Message);
  const added = JSON.stringify(steps);
  await run(
    em,
    sql`insert into message_steps (${c.message}, ${c.account}, ${c.steps}, ${c.createdAt})
        select ${id}, ${account}, ${added}::jsonb, ${now} from messages where ${id} = ${messageId}
        on conflict (${c.message}) do update set ${c.steps} = (
          select jsonb_agg(first.step order by first.step ->> 'startedAt', first.place) from (
            select step, place from (
              select distinct on (every.step ->> 'stepId') every.step, every.place from (
                select step, place, 0 as age from jsonb_array_elements(${known.steps}) with ordinality as stored (step, place)
                union all
                select step, place, 1 from jsonb_array_elements(${given.steps}) with ordinality as given (step, place)
              ) every
              order by every.step ->> 'stepId', every.step ->> 'status', every.age
            ) one
            order by step ->> 'startedAt', place limit ${MAX_STEPS}
          ) first)
        where not (${known.steps} @> ${given.steps})`,
  );
}

/** The steps of a reply, as far as they are stored, in order. */
export async function findSteps(em: EntityManager, messageId: string): Promise<Step[]> {
  const row = await db(em).selectFrom('MessageSteps').select('steps').where('message', '=', messageId).executeTakeFirst();
  return row?.steps ?? [];
}
