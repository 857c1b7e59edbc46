import type { EntityManager } from '@mikro-orm/postgresql';
import { takesMessages } from '../instances/lifecycle-sql.ts';
import { IS_HEAD, SHARD_OWNER, TURN_COLUMNS, TURN_JOINS } from './pending-turns.ts';
import type { PendingTurn } from './pending-turns.ts';
import { IS_TRUSTED } from '../processes/process-lease.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** Which process sends a turn, and what must still hold for it to do so. */
export type Claimant =
  /** A process that accepted it. */
  | { kind: 'process'; owner: string }
  /** The watcher of its instance, by the lease of that shard. */
  | { kind: 'shard'; shardEpoch: number }
  /** The step that has just started this gateway process, before it is published. */
  | { kind: 'start'; epoch: number; bootId: string };

const TAKES_MESSAGES = sql`${takesMessages('i')} and i.boot_id = m.boot_id`;

const PROCESS_TRUSTED = sql`exists (select 1 from processes p where p.id = m.owner and ${IS_TRUSTED})`;

/**
 * Commits the number of the attempt that is about to be sent, and answers the turn with it; null, and nothing changed,
 * when the turn has ended, has another owner, stands at another attempt, is not at the head of its conversation, or
 * its gateway takes no turns now. Holds the instance, so it is ordered before or after every start, stop and restart.
 */
export async function claimAttempt(
  em: EntityManager,
  { messageId, attempt, next, claimant }: { messageId: string; attempt: number; next: number; claimant: Claimant },
): Promise<PendingTurn | null> {
  const owner = claimant.kind === 'process' ? claimant.owner : SHARD_OWNER;
  const [turn] = await query<PendingTurn>(
    em,
    sql`with allowed as (
       select m.id from messages m join instances i on i.id = m.instance_id
        where m.id = ${messageId} and m.status = 'pending' and m.attempt = ${attempt} and ${conditionOf(claimant)} and ${IS_HEAD}
          for share of i
     ), claimed as (
       update messages m set attempt = ${next}, sent_at = coalesce(m.sent_at, now())
         from allowed
        where m.id = allowed.id and m.status = 'pending' and m.attempt = ${attempt} and m.owner = ${owner}
       returning m.*
     )
     select ${TURN_COLUMNS} from claimed m ${TURN_JOINS}`,
  );
  return turn ?? null;
}

/**
 * A turn whose first attempt this process has claimed by accepting it, or null when it has ended or moved on, or its
 * gateway takes none now.
 */
export async function findClaimedTurn(
  em: EntityManager,
  { messageId, owner }: { messageId: string; owner: string },
): Promise<PendingTurn | null> {
  const [turn] = await query<PendingTurn>(
    em,
    sql`select ${TURN_COLUMNS} from messages m ${TURN_JOINS}
      where m.id = ${messageId} and m.status = 'pending' and m.attempt = 1 and m.owner = ${owner} and ${TAKES_MESSAGES} and ${PROCESS_TRUSTED}`,
  );
  return turn ?? null;
}

function conditionOf(claimant: Claimant): Sql {
  switch (claimant.kind) {
    case 'process':
      return sql`${TAKES_MESSAGES} and ${PROCESS_TRUSTED}`;
    case 'shard':
      return sql`${TAKES_MESSAGES}
        and exists (select 1 from watch_shards w where w.shard = i.shard and w.epoch = ${claimant.shardEpoch})`;
    case 'start':
      return sql`i.epoch = ${claimant.epoch} and i.boot_id is null and m.boot_id = ${claimant.bootId}`;
  }
}
