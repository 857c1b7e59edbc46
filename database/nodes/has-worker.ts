import { PROCESS_LEASE_MS } from '../processes/process-lease.ts';
import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** A worker of the node that this expression names lives. */
export const hasWorker = (node: Sql): Sql => sql`exists (
  select from processes where kind = 'worker' and node_id = ${node} and seen_at > now() - make_interval(secs => ${PROCESS_LEASE_MS / 1_000}))`;
