import type { EntityManager } from '@mikro-orm/postgresql';
import { Instance } from '../../../database/entities/instance.ts';
import type { Deps } from '../../deps.ts';
import type { StreamFrame } from '../../http/event-stream.ts';
import { watchChanges } from '../../../database/watch-changes.ts';
import { presentInstances } from './instance.schema.ts';
import type { InstanceView } from './instance.schema.ts';

/** No notification announces a new instance, so the list is read this often. */
const POLL_MS = 1_000;

interface Followed {
  accountId: string;
  /** Only this one; null: all of the account. */
  instanceId: string | null;
  signal: AbortSignal;
}

/**
 * Every instance as it is, and then each again whenever it changes, until the signal aborts. Running times go on all the time
 * and are no change. Of one that is gone the last frame says `deleted`; after the only one that is followed, the stream ends.
 */
export async function* followInstances(
  deps: Pick<Deps, 'orm' | 'notifications'>,
  { accountId, instanceId, signal }: Followed,
): AsyncGenerator<StreamFrame> {
  const shown = new Map<string, string>();
  const isRelevant = (payload: string): boolean => shown.has(payload);
  const watch = watchChanges(deps.notifications, { channel: 'instance', isRelevant, pollMs: POLL_MS, signal });
  try {
    yield { comment: 'connected' };
    while (!signal.aborted) {
      watch.reset();
      const views = await viewsOf(deps.orm.em.fork(), accountId, instanceId);
      for (const view of views) {
        const state = stateOf(view);
        if (shown.get(view.instanceId) === state) continue;
        shown.set(view.instanceId, state);
        yield JSON.stringify(view);
      }
      for (const gone of goneOf(shown, views)) {
        shown.delete(gone);
        yield JSON.stringify({ instanceId: gone, deleted: true });
        if (gone === instanceId) return;
      }
      await watch.changed();
    }
  } finally {
    watch.close();
  }
}

async function viewsOf(em: EntityManager, account: string, instanceId: string | null): Promise<InstanceView[]> {
  const only = instanceId === null ? {} : { id: instanceId };
  const where = { account, deletedAt: null, ...only };
  return presentInstances(em, await em.find(Instance, where, { fields: ['id'], orderBy: { createdAt: 'asc', id: 'asc' } }));
}

/** What is compared: all that is shown but what changes by the passing of time. */
function stateOf({ totalRuntimeMs: _ran, billedMs: _billed, ...state }: InstanceView): string {
  return JSON.stringify(state);
}

function goneOf(shown: ReadonlyMap<string, string>, views: readonly InstanceView[]): string[] {
  const there = new Set(views.map(({ instanceId }) => instanceId));
  return [...shown.keys()].filter((id) => !there.has(id));
}
