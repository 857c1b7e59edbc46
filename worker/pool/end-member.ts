import { beginEnding, forgetMember } from '../../database/pool/members.ts';
import type { Member } from '../../database/pool/members.ts';
import type { PoolDeps } from './pool-deps.ts';

type Ended = Pick<Member, 'runtimeId' | 'state' | 'epoch'>;

/**
 * Deletes a member that no instance has, with its gateway and storage. Does nothing when an instance has taken it meanwhile.
 * One that something else than the pool has changed is not deleted: an instance that this database does not know may have
 * had it. It is forgotten, so that the sweep sets it aside.
 */
export async function endMember(
  deps: PoolDeps,
  member: Ended,
  { because, signal }: { because: string; signal: AbortSignal },
): Promise<void> {
  const { orm, driver, connections, log } = deps;
  const { runtimeId, state, epoch } = member;
  if (state !== 'ending' && (await driver.fenceOf(runtimeId)) > epoch) {
    log.error(
      { runtimeId },
      'a gateway of the pool was changed by something else: it leaves the pool, and the sweep quarantines it',
    );
    await forgetMember(orm.em.fork(), member);
    return;
  }
  const ending = await beginEnding(orm.em.fork(), member);
  if (ending === null) return;
  log.info({ runtimeId, because }, 'a gateway of the pool is ended');
  connections.close(runtimeId);
  await driver.destroy(runtimeId, { epoch: ending, signal });
  await forgetMember(orm.em.fork(), { runtimeId, epoch: ending });
}
