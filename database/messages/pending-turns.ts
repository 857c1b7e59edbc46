import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** The owner of turns that are sent by the worker that watches their instance. */
export const SHARD_OWNER = 'shard';

/** A turn that has not ended, with all that is needed to hand it to its gateway. */
export interface PendingTurn {
  /** The reply's id. */
  messageId: string;
  instanceId: string;
  runtimeId: string;
  conversationId: string;
  gatewayAgentId: string;
  /** What was said, after its context. */
  text: string;
  saidAtMs: number;
  traceId: string;
  owner: string;
  bootId: string | null;
  /** 0: never sent. */
  attempt: number;
  /** In how many deaths of the gateway it was in flight. */
  deaths: number;
}

/** Of messages `m` (the reply) with its instance `i`, agent `a` and message `u`. */
export const TURN_COLUMNS = sql`
  m.id as "messageId", m.instance_id as "instanceId", i.runtime_id as "runtimeId", m.conversation_id as "conversationId",
  a.gateway_agent_id as "gatewayAgentId", coalesce(u.context || E'\\n\\n', '') || u.content as text,
  (extract(epoch from u.created_at) * 1000)::float8 as "saidAtMs", m.trace_id as "traceId", m.owner, m.boot_id as "bootId",
  m.attempt, m.deaths`;

export const TURN_JOINS = sql`
  join instances i on i.id = m.instance_id
  join agents a on a.id = m.agent_id
  join messages u on u.conversation_id = m.conversation_id and u.number = m.number and u.role = 'user'`;

/** The head of a conversation is its pending turn with the lowest number: the only one that is sent. */
export const IS_HEAD = sql`not exists (
  select 1 from messages earlier
   where earlier.instance_id = m.instance_id and earlier.conversation_id = m.conversation_id
     and earlier.status = 'pending' and earlier.number < m.number)`;

/** The turn, or null when it has ended or is gone. */
export async function findPendingTurn(em: EntityManager, messageId: string): Promise<PendingTurn | null> {
  const [turn] = await query<PendingTurn>(
    em,
    sql`select ${TURN_COLUMNS} from messages m ${TURN_JOINS} where m.id = ${messageId} and m.status = 'pending'`,
  );
  return turn ?? null;
}

/** The turn of a conversation that was sent and has not ended. */
export async function findTurnInFlight(em: EntityManager, conversationId: string): Promise<PendingTurn | null> {
  const [turn] = await query<PendingTurn>(
    em,
    sql`select ${TURN_COLUMNS} from messages m ${TURN_JOINS}
      where m.conversation_id = ${conversationId} and m.status = 'pending' and m.attempt > 0 order by m.number limit 1`,
  );
  return turn ?? null;
}

/** Every turn of an instance that was sent and has not ended, oldest first. */
export async function listTurnsInFlight(em: EntityManager, instanceId: string): Promise<PendingTurn[]> {
  return query<PendingTurn>(
    em,
    sql`select ${TURN_COLUMNS} from messages m ${TURN_JOINS}
      where m.instance_id = ${instanceId} and m.status = 'pending' and m.attempt > 0 order by m.created_at, m.number`,
  );
}

/** The heads of an instance's conversations that were never sent. */
export async function listUnsentHeads(em: EntityManager, instanceId: string): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select m.id from messages m where m.instance_id = ${instanceId} and m.status = 'pending' and m.attempt = 0 and ${IS_HEAD}
      order by m.created_at`,
  );
  return rows.map(({ id }) => id);
}

/** The heads that this process sends or has to send. */
export async function listHeadsOf(em: EntityManager, owner: string): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select m.id from messages m where m.status = 'pending' and m.owner = ${owner} and ${IS_HEAD}
      order by m.created_at`,
  );
  return rows.map(({ id }) => id);
}

/** How many turns of an instance were sent and have not ended: what a drain waits for. */
export async function countTurnsInFlight(em: EntityManager, instanceId: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::float8 as count from messages where instance_id = ${instanceId} and status = 'pending' and attempt > 0`,
  );
  return row?.count ?? 0;
}

export type TurnsOf = { instanceId: string } | { agentId: string } | { instanceId: string; conversationId: string };

function conditionOf(of: TurnsOf): Sql {
  if ('agentId' in of) return sql`agent_id = ${of.agentId}`;
  const isOfInstance = sql`instance_id = ${of.instanceId}`;
  return 'conversationId' in of ? sql`${isOfInstance} and conversation_id = ${of.conversationId}` : isOfInstance;
}

/** Every pending turn of an instance, an agent or a conversation, those at the end of their conversations first: so none becomes a head. */
export async function listPendingIds(em: EntityManager, of: TurnsOf): Promise<string[]> {
  const isTheirs = conditionOf(of);
  const rows = await query<{ id: string }>(
    em,
    sql`select id from messages where ${isTheirs} and status = 'pending' order by conversation_id, number desc`,
  );
  return rows.map((row) => row.id);
}

/** Which of these turns have ended or are gone, and which were sent and have not ended. */
export async function findProgress(
  em: EntityManager,
  messageIds: readonly string[],
): Promise<{ ended: string[]; sent: string[] }> {
  const rows = await query<{ id: string; hasEnded: boolean }>(
    em,
    sql`select asked.id, m.id is null as "hasEnded"
          from jsonb_array_elements_text(${JSON.stringify(messageIds)}::jsonb) as asked (id)
          left join messages m on m.id = asked.id and m.status = 'pending'
         where m.id is null or m.attempt > 0`,
  );
  const idsOf = (wanted: boolean) => rows.filter(({ hasEnded }) => hasEnded === wanted).map(({ id }) => id);
  return { ended: idsOf(true), sent: idsOf(false) };
}
