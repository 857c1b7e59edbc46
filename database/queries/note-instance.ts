import type { EntityManager } from '@mikro-orm/postgresql';
import { INSTANCE_NOTES } from '../../domain/failures.ts';
import type { InstanceNote } from '../../domain/failures.ts';

/** Says something about the content of an instance in its row, once; the next start, or change of its content, removes it. */
export async function noteInstance(
  em: EntityManager,
  { instanceId, note }: { instanceId: string; note: InstanceNote },
): Promise<void> {
  const { code, message, retryable } = INSTANCE_NOTES[note];
  await em.execute(
    `update instances set reason_code = ?, reason_message = ?, reason_at = now(), reason_retryable = ?
      where id = ? and status = 'running' and desired_status = 'running' and reason_code is distinct from ?`,
    [code, message, retryable, instanceId, code],
    'run',
  );
}
