import type { EntityManager } from '@mikro-orm/postgresql';
import { judgeGateway } from '../../domain/gateway-verdict.ts';
import type { GatewayVerdict, RefusalEvidence, RefusalSign } from '../../domain/gateway-verdict.ts';
import { columns, db } from '../db.ts';
import { GatewayRefusal } from '../entities/gateway-refusal.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import { fromNow, NOW, sql } from '../sql.ts';
import { INSTANCE_NOTES } from '../../domain/failures.ts';
import { takesMessages } from '../../domain/lifecycle.ts';
import { changeLifecycle } from './lifecycle/change-lifecycle.ts';
import { readLifecycle } from './lifecycle/find-lifecycle.ts';

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
  await db(em)
    .insertInto('GatewayRefusal')
    .values({ instance: instanceId, bootId, conversationId, sign, times: 1, firstAt: fromNow(-forMs), lastAt: NOW })
    .onConflict((conflict) =>
      conflict.columns(['instance', 'bootId', 'conversationId']).doUpdateSet(({ ref }) => {
        const [known, last] = [ref('GatewayRefusal.lastAt'), ref('excluded.lastAt')];
        const isNew = sql<number>`(${last} >= ${known} + interval '1 second')::int`;
        const times = sql<number>`${ref('GatewayRefusal.times')} + ${isNew}`;
        return { sign: ref('excluded.sign'), lastAt: last, times };
      }),
    )
    .execute();
  await db(em)
    .updateTable('RuntimeInterval')
    .set({ refusingSince: NOW })
    .where('instance', '=', instanceId)
    .where('endedAt', 'is', null)
    .where('refusingSince', 'is', null)
    .execute();
  return judgeGateway(await readEvidence(em, { instanceId, bootId, conversationId, sign }));
}

const REFUSAL = columns(GatewayRefusal, 'gateway_refusals');
const INSTANCE = columns(Instance, 'instances');
const INTERVAL = columns(RuntimeInterval, 'runtime_intervals');
const MESSAGE = columns(Message, 'messages');

interface Refused {
  instanceId: string;
  bootId: string;
  conversationId: string;
  sign: RefusalSign;
}

async function readEvidence(em: EntityManager, { instanceId, bootId, conversationId, sign }: Refused): Promise<RefusalEvidence> {
  const found = await fetchRow(
    em,
    {
      times: sql<number>`sum(refusal.times)::float8`,
      spanMs: sql<number>`(extract(epoch from max(refusal.last_at) - min(refusal.first_at)) * 1000)::float8`,
      timesHere: sql<number>`coalesce(sum(refusal.times) filter (where refusal.conversation_id = ${conversationId}), 0)::float8`,
      conversations: sql<number>`count(*)::float8`,
      othersAnswered: sql<boolean>`exists (select from other where other.status = 'completed')`,
      othersInFlight: sql<number>`(select count(*) from other where other.status = 'pending' and other.attempt > 0)::float8`,
    },
    (fields) => sql`with refusal (conversation_id, times, first_at, last_at) as (
       select ${REFUSAL.conversationId}, ${REFUSAL.times}, ${REFUSAL.firstAt}, ${REFUSAL.lastAt}
         from gateway_refusals where ${REFUSAL.instance} = ${instanceId} and ${REFUSAL.bootId} = ${bootId}
     ), other (status, attempt) as (
       select ${MESSAGE.status}, ${MESSAGE.attempt} from messages
        where ${MESSAGE.instance} = ${instanceId} and ${MESSAGE.role} = 'agent' and ${MESSAGE.status} in ('pending', 'completed')
          and (${MESSAGE.status} = 'pending' or ${MESSAGE.endedAt} > (select min(refusal.first_at) from refusal))
          and ${MESSAGE.conversation} not in (select refusal.conversation_id from refusal)
     )
     select ${fields} from refusal`,
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
  const calm = await fetchRows(
    em,
    { instanceId: columns(GatewayRefusal, 'forgotten').instance },
    (fields) => sql`with instance (id, boot_id) as (
       select ${INSTANCE.id}, ${INSTANCE.bootId} from instances
        where ${INSTANCE.id} in (select ${REFUSAL.instance} from gateway_refusals where ${REFUSAL.instance} = any(${[...instanceIds]}))
        order by ${INSTANCE.id} for update skip locked
     ), forgotten (instance_id, boot_id, conversation_id, sign) as (
       delete from gateway_refusals using instance
        where ${REFUSAL.instance} = instance.id
          and (${REFUSAL.bootId} is distinct from instance.boot_id
               or ${REFUSAL.lastAt} < now() - case ${REFUSAL.sign} when 'not_ready' then interval '10 seconds' else interval '2 minutes' end
               or exists (select from messages
                           where ${MESSAGE.conversation} = ${REFUSAL.conversationId} and ${MESSAGE.status} = 'completed'
                             and ${MESSAGE.endedAt} > ${REFUSAL.lastAt}))
       returning ${REFUSAL.instance}, ${REFUSAL.bootId}, ${REFUSAL.conversationId}, ${REFUSAL.sign}
     ), resumed as (
     update runtime_intervals set ${columns(RuntimeInterval).refusingSince} = null
       from instance
      where ${INTERVAL.instance} = instance.id and ${INTERVAL.bootId} = instance.boot_id
        and ${INTERVAL.endedAt} is null and ${INTERVAL.refusingSince} is not null
        and instance.id in (select instance_id from forgotten)
        and not exists (select from gateway_refusals
                         where ${REFUSAL.instance} = instance.id and ${REFUSAL.bootId} = instance.boot_id
                           and (${REFUSAL.instance}, ${REFUSAL.bootId}, ${REFUSAL.conversationId})
                               not in (select instance_id, boot_id, conversation_id from forgotten))
     )
     select distinct ${fields} from forgotten where sign = 'flooding' order by 1`,
  );
  for (const { instanceId } of calm)
    await changeLifecycle(em, {
      instanceId,
      happening: { kind: 'calmed' },
      allows: ({ status, reasonCode }) => status === 'running' && reasonCode === INSTANCE_NOTES.gateway_flood.code,
    });
}
