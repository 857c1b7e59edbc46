import { expressionBuilder } from 'kysely';
import type { Expression, RawBuilder } from 'kysely';
import type { Db } from '../db.ts';
import { LEASE_BEGAN } from '../processes/process-lease.ts';
import { isThere } from '../sql.ts';

/** A worker of the node that this expression names lives. */
export function hasWorker(node: Expression<number | null>): RawBuilder<boolean> {
  const workers = expressionBuilder<Db>()
    .selectFrom('Process as worker')
    .where('worker.kind', '=', 'worker')
    .where('worker.node', '=', node)
    .where('worker.seenAt', '>', LEASE_BEGAN);
  return isThere(workers);
}
