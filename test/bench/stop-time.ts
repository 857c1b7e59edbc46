import type { MikroORM } from '@mikro-orm/postgresql';
import { eventually } from '../support/eventually.ts';

/** How many milliseconds an instance ran for beyond those that were paid for, once it has been told to stop. */
export function unpaidMs(orm: MikroORM, { instanceId, paidMs }: { instanceId: string; paidMs: number }): Promise<number> {
  return eventually(async () => {
    const [row] = await orm.em.fork().execute<{ ms: number }[]>(
      `select (extract(epoch from i.ended_at - i.started_at) * 1000 - ?)::float8 as ms
         from runtime_intervals i join instances on instances.id = i.instance_id
        where i.instance_id = ? and desired_status = 'stopped' and i.ended_at is not null`,
      [paidMs, instanceId],
    );
    if (!row) throw new Error('it still runs');
    return row.ms;
  });
}
