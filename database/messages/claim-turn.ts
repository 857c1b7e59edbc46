import type { EntityManager } from '@mikro-orm/postgresql';
import { takesMessages } from '../instances/lifecycle/lifecycle-sql.ts';
import { IS_HEAD, m, SHARD_OWNER, TURN_FIELDS, TURN_JOINS } from './pending-turns.ts';
import type { PendingTurn } from './pending-turns.ts';
import { IS_TRUSTED } from '../processes/process-lease.ts';
import { columns } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { Process } from '../entities/process.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchPlannedRow, fetchRow } from '../rows.ts';
import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** Which process sends a turn, and what must still hold for it to do so. */
export type Claimant =
  /** A process that accepted it. */
  | { kind: 'process'; owner: string }
  /** The watcher of its instance, by the lease of that shard. */
  | { kind: 'shard'; shardEpoch: number }
  /** The step that has just started this gateway process, before it is published. */
  | { kind: 'start'; epoch: number; bootId: string };

const i = columns(Instance, 'i');
const process = columns(Process, 'p');

const TAKES_MESSAGES = sql`${takesMessages('i')} and ${i.bootId} = ${m.bootId}`;

const PROCESS_TRUSTED = sql`exists (select 1 from processes p where ${process.id} = ${m.owner} and ${IS_TRUSTED})`;

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
  const c = columns(Message);
  const isAtAttempt = sql`${m.status} = 'pending' and ${m.attempt} = ${attempt}`;
  return fetchRow(
    em,
    TURN_FIELDS,
    (fields) => sql`
      with allowed as (
        select ${m.id} from messages m join instances i on ${i.id} = ${m.instance}
         where ${m.id} = ${messageId} and ${isAtAttempt} and ${conditionOf(claimant)} and ${IS_HEAD}
           for share of i
      ), claimed as (
        update messages m set ${c.attempt} = ${next}, ${c.sentAt} = coalesce(${m.sentAt}, now())
          from allowed
         where ${m.id} = allowed.id and ${isAtAttempt} and ${m.owner} = ${owner}
        returning m.*
      )
      select ${fields} from claimed m ${TURN_JOINS}`,
  );
}

/**
 * A turn whose first attempt this process has claimed by accepting it, or null when it has ended or moved on, or its
 * gateway takes none now.
 */
export async function findClaimedTurn(
  em: EntityManager,
  { messageId, owner }: { messageId: string; owner: string },
): Promise<PendingTurn | null> {
  return fetchPlannedRow(
    em,
    'claimed_turn',
    TURN_FIELDS,
    (fields) => sql`
      select ${fields} from messages m ${TURN_JOINS}
       where ${m.id} = ${messageId} and ${m.status} = 'pending' and ${m.attempt} = 1 and ${m.owner} = ${owner}
         and ${TAKES_MESSAGES} and ${PROCESS_TRUSTED}`,
  );
}

function conditionOf(claimant: Claimant): Sql {
  const shard = columns(WatchShard, 'w');
  switch (claimant.kind) {
    case 'process':
      return sql`${TAKES_MESSAGES} and ${PROCESS_TRUSTED}`;
    case 'shard':
      return sql`${TAKES_MESSAGES}
        and exists (select 1 from watch_shards w where ${shard.shard} = ${i.shard} and ${shard.epoch} = ${claimant.shardEpoch})`;
    case 'start':
      return sql`${i.epoch} = ${claimant.epoch} and ${i.bootId} is null and ${m.bootId} = ${claimant.bootId}`;
  }
}
