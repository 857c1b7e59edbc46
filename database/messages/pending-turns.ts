import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, notNull } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { fetchPlannedRow, fetchPlannedRows, fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asNumber, epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** The owner of turns that are sent by the worker that watches their instance. */
export const SHARD_OWNER = 'shard';

/** The reply, its instance, its agent, and what was said. */
export const m = columns(Message, 'm');
const i = columns(Instance, 'i');
const a = columns(Agent, 'a');
const u = columns(Message, 'u');

/** Of `messages m` with TURN_JOINS. */
export const TURN_FIELDS = {
  /** The reply's id. */
  messageId: m.id,
  instanceId: m.instance,
  runtimeId: i.runtimeId,
  conversationId: notNull(m.conversation),
  gatewayAgentId: a.gatewayAgentId,
  /** What was said, after its context. */
  text: sql<string>`coalesce(${u.context} || E'\\n\\n', '') || ${u.content}`,
  saidAtMs: epochMs(u.createdAt),
  traceId: notNull(m.traceId),
  owner: notNull(m.owner),
  bootId: m.bootId,
  /** 0: never sent. */
  attempt: m.attempt,
  /** In how many deaths of the gateway it was in flight. */
  deaths: m.deaths,
};

/** A turn that has not ended, with all that is needed to hand it to its gateway. */
export type PendingTurn = RowOf<typeof TURN_FIELDS>;

export const TURN_JOINS = sql`
  join instances i on ${i.id} = ${m.instance}
  join agents a on ${a.id} = ${m.agent}
  join messages u on ${u.conversation} = ${m.conversation} and ${u.number} = ${m.number} and ${u.role} = 'user'`;

/** The head of a conversation is its pending turn with the lowest number: the only one that is sent. */
const earlier = columns(Message, 'earlier');
export const IS_HEAD = sql`not exists (
  select 1 from messages earlier
   where ${earlier.instance} = ${m.instance} and ${earlier.conversation} = ${m.conversation}
     and ${earlier.status} = 'pending' and ${earlier.number} < ${m.number})`;

/** The turn, or null when it has ended or is gone. */
export function findPendingTurn(em: EntityManager, messageId: string): Promise<PendingTurn | null> {
  return fetchPlannedRow(
    em,
    'pending_turn',
    TURN_FIELDS,
    (fields) => sql`select ${fields} from messages m ${TURN_JOINS} where ${m.id} = ${messageId} and ${m.status} = 'pending'`,
  );
}

const IN_FLIGHT = sql`${m.status} = 'pending' and ${m.attempt} > 0`;

/** The turn of a conversation that was sent and has not ended. */
export function findTurnInFlight(em: EntityManager, conversationId: string): Promise<PendingTurn | null> {
  return fetchRow(
    em,
    TURN_FIELDS,
    (fields) => sql`
      select ${fields} from messages m ${TURN_JOINS}
       where ${m.conversation} = ${conversationId} and ${IN_FLIGHT} order by ${m.number} limit 1`,
  );
}

/** Every turn of an instance that was sent and has not ended, oldest first. */
export function listTurnsInFlight(em: EntityManager, instanceId: string): Promise<PendingTurn[]> {
  return fetchRows(
    em,
    TURN_FIELDS,
    (fields) => sql`
      select ${fields} from messages m ${TURN_JOINS}
       where ${m.instance} = ${instanceId} and ${IN_FLIGHT} order by ${m.createdAt}, ${m.number}`,
  );
}

/** The heads of an instance's conversations that were never sent. */
export function listUnsentHeads(em: EntityManager, instanceId: string): Promise<string[]> {
  return listHeads(em, sql`${m.instance} = ${instanceId} and ${m.attempt} = 0`);
}

/** The heads that this process sends or has to send. */
export function listHeadsOf(em: EntityManager, owner: string): Promise<string[]> {
  return listHeads(em, sql`${m.owner} = ${owner}`);
}

async function listHeads(em: EntityManager, condition: Sql): Promise<string[]> {
  const heads = await fetchRows(
    em,
    { id: m.id },
    (fields) => sql`
      select ${fields} from messages m where ${m.status} = 'pending' and ${condition} and ${IS_HEAD} order by ${m.createdAt}`,
  );
  return heads.map(({ id }) => id);
}

/** How many turns of an instance were sent and have not ended: what a drain waits for. */
export async function countTurnsInFlight(em: EntityManager, instanceId: string): Promise<number> {
  const counted = await fetchRow(
    em,
    { count: asNumber(sql<bigint>`count(*)`) },
    (fields) => sql`select ${fields} from messages m where ${m.instance} = ${instanceId} and ${IN_FLIGHT}`,
  );
  return counted?.count ?? 0;
}

export type TurnsOf = { instanceId: string } | { agentId: string } | { instanceId: string; conversationId: string };

function conditionOf(of: TurnsOf): Sql {
  if ('agentId' in of) return sql`${m.agent} = ${of.agentId}`;
  const isOfInstance = sql`${m.instance} = ${of.instanceId}`;
  return 'conversationId' in of ? sql`${isOfInstance} and ${m.conversation} = ${of.conversationId}` : isOfInstance;
}

/** Every pending turn of an instance, an agent or a conversation, those at the end of their conversations first: so none becomes a head. */
export async function listPendingIds(em: EntityManager, of: TurnsOf): Promise<string[]> {
  const turns = await fetchRows(
    em,
    { id: m.id },
    (fields) => sql`
      select ${fields} from messages m where ${conditionOf(of)} and ${m.status} = 'pending'
       order by ${m.conversation}, ${m.number} desc`,
  );
  return turns.map(({ id }) => id);
}

const PROGRESS = { id: sql<string>`asked.id`, hasEnded: sql<boolean>`${m.id} is null` };

/** Which of these turns have ended or are gone, and which were sent and have not ended. */
export async function findProgress(
  em: EntityManager,
  messageIds: readonly string[],
): Promise<{ ended: string[]; sent: string[] }> {
  const rows = await fetchPlannedRows(
    em,
    'turn_progress',
    PROGRESS,
    (fields) => sql`
      select ${fields} from unnest(${[...messageIds]}::text[]) as asked (id)
        left join messages m on ${m.id} = asked.id and ${m.status} = 'pending'
       where ${m.id} is null or ${m.attempt} > 0`,
  );
  const idsOf = (wanted: boolean) => rows.filter(({ hasEnded }) => hasEnded === wanted).map(({ id }) => id);
  return { ended: idsOf(true), sent: idsOf(false) };
}
