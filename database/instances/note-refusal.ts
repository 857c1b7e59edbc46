import type { EntityManager } from '@mikro-orm/postgresql';
import { judgeGateway } from '../../domain/gateway-verdict.ts';
import type { GatewayVerdict, RefusalEvidence, RefusalSign } from '../../domain/gateway-verdict.ts';
import { query, run, sql } from '../sql.ts';
import { INSTANCE_NOTES } from '../../domain/failures.ts';
import { takesMessages } from '../../domain/lifecycle.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import { readLifecycle } from './find-lifecycle.ts';

export interface Refusal {
  instanceId: string;
  /** The gateway process that refused. */
  bootId: string;
  /** Null: the process as a whole takes no turns. */
  conversationId: string | null;
  sign: RefusalSign;
  /** How long this had lasted when it was noticed, in milliseconds. */
  forMs?: number;
}

/**
 * Notes that a gateway process refused a turn that it should have taken, stops its meter for as long as that lasts, and
 * judges the process by all that is noted of it. Nothing is noted, and the verdict is `wait`, when the process is not
 * the one that takes messages now, or is being stopped or restarted anyway. Locks the instance, then its interval.
 */
export async function noteRefusal(em: EntityManager, refusal: Refusal): Promise<GatewayVerdict> {
  const { instanceId, bootId, sign, forMs = 0 } = refusal;
  const conversationId = refusal.conversationId ?? sign;
  const row = await readLifecycle(em, instanceId, { lock: true });
  if (row?.bootId !== bootId || !takesMessages(row)) return 'wait';
  // A refusal that is heard twice, by its event and by the answer to its call, counts once.
  await run(
    em,
    sql`insert into gateway_refusals as known (instance_id, boot_id, conversation_id, sign, times, first_at, last_at)
     values (${instanceId}, ${bootId}, ${conversationId}, ${sign}, 1, now() - ${forMs}::float8 * interval '1 millisecond', now())
     on conflict (instance_id, boot_id, conversation_id) do update
        set sign = excluded.sign, last_at = excluded.last_at,
            times = known.times + (excluded.last_at >= known.last_at + interval '1 second')::int`,
  );
  await run(
    em,
    sql`update runtime_intervals set refusing_since = now() where instance_id = ${instanceId} and ended_at is null and refusing_since is null`,
  );
  return judgeGateway(await readEvidence(em, { instanceId, bootId, conversationId, sign }));
}

interface Refused {
  instanceId: string;
  bootId: string;
  conversationId: string;
  sign: RefusalSign;
}

async function readEvidence(em: EntityManager, { instanceId, bootId, conversationId, sign }: Refused): Promise<RefusalEvidence> {
  const [found] = await query<Omit<RefusalEvidence, 'sign'>>(
    em,
    sql`with refusal as (
       select conversation_id, times, first_at, last_at from gateway_refusals where instance_id = ${instanceId} and boot_id = ${bootId}
     ), other as (
       select status, attempt, ended_at from messages
        where instance_id = ${instanceId} and role = 'agent' and status in ('pending', 'completed')
          and (status = 'pending' or ended_at > (select min(first_at) from refusal))
          and conversation_id not in (select conversation_id from refusal)
     )
     select sum(times)::float8 as times, (extract(epoch from max(last_at) - min(first_at)) * 1000)::float8 as "spanMs",
            coalesce(sum(times) filter (where conversation_id = ${conversationId}), 0)::float8 as "timesHere",
            count(*)::float8 as conversations,
            exists (select from other where status = 'completed') as "othersAnswered",
            (select count(*) from other where status = 'pending' and attempt > 0)::float8 as "othersInFlight"
       from refusal`,
  );
  if (!found) throw new Error('the database did not count');
  return { sign, ...found };
}

/**
 * Forgets refusals of these instances that came to nothing: of a process that was replaced, of a conversation that was
 * answered since, or of one that was not refused for two minutes; a process that was not ready is asked every three
 * seconds, so ten are enough. Where none is left the meter runs again, as if it had never stopped. An instance whose
 * floods are forgotten does not speak of them any more. In the caller's transaction.
 */
export async function forgetRefusals(em: EntityManager, instanceIds: readonly string[]): Promise<void> {
  const calm = await query<{ instanceId: string }>(
    em,
    sql`with instance as (
       select id, boot_id from instances
        where id in (select instance_id from gateway_refusals where instance_id in (select jsonb_array_elements_text(${JSON.stringify(instanceIds)}::jsonb)))
        order by id for update skip locked
     ), forgotten as (
       delete from gateway_refusals refusal using instance
        where refusal.instance_id = instance.id
          and (refusal.boot_id is distinct from instance.boot_id or refusal.last_at < now() - case sign when 'not_ready' then interval '10 seconds' else interval '2 minutes' end
               or exists (select from messages m
                           where m.conversation_id = refusal.conversation_id and m.status = 'completed' and m.ended_at > refusal.last_at))
       returning refusal.instance_id, refusal.boot_id, refusal.conversation_id, refusal.sign
     ), resumed as (
     update runtime_intervals i set refusing_since = null
       from instance
      where i.instance_id = instance.id and i.boot_id = instance.boot_id and i.ended_at is null and i.refusing_since is not null
        and instance.id in (select instance_id from forgotten)
        and not exists (select from gateway_refusals refusal
                         where refusal.instance_id = instance.id and refusal.boot_id = instance.boot_id
                           and (refusal.instance_id, refusal.boot_id, refusal.conversation_id) not in (select instance_id, boot_id, conversation_id from forgotten))
     )
     select distinct instance_id as "instanceId" from forgotten where sign = 'flooding' order by 1`,
  );
  for (const { instanceId } of calm)
    await changeLifecycle(em, {
      instanceId,
      happening: { kind: 'calmed' },
      allows: ({ status, reasonCode }) => status === 'running' && reasonCode === INSTANCE_NOTES.gateway_flood.code,
    });
}
