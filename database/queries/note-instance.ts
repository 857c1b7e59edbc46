import type { EntityManager } from '@mikro-orm/postgresql';
import { INSTANCE_NOTES } from '../../domain/failures.ts';
import type { InstanceNote } from '../../domain/failures.ts';
import { run, sql } from '../sql.ts';

/** Says something about the content of an instance in its row, once; the next start, or change of its content, removes it. */
export async function noteInstance(
  em: EntityManager,
  { instanceId, note }: { instanceId: string; note: InstanceNote },
): Promise<void> {
  const { code, message, retryable } = INSTANCE_NOTES[note];
  await run(
    em,
    sql`update instances set reason_code = ${code}, reason_message = ${message}, reason_at = now(), reason_retryable = ${retryable}
      where id = ${instanceId} and status = 'running' and desired_status = 'running' and reason_code is distinct from ${code}`,
  );
}
