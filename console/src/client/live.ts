import { useEffect } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import type { QueryClient } from '@tanstack/react-query';
import type { AccountEvent, DeletedEvent, Instance } from '../../../sdk/typescript/src/generated/resources.ts';
import { client } from './client.ts';

export type FeedEvent = AccountEvent | DeletedEvent;

const EVENTS_KEPT = 500;
const EVENTS_AT_FIRST = 100;
const AGAIN_MS = 2_000;
/** No event has a greater number: a page after it says only how far the feed is. */
const BEYOND = Number.MAX_SAFE_INTEGER;

/** Keeps instances and events of the account true while the page is looked at, by one connection each. */
export function useLive(): void {
  const cache = useQueryClient();
  useEffect(() => {
    let stop: AbortController | null = null;
    // A browser has six connections for an origin, and a hidden page needs none.
    const turn = () => {
      stop?.abort();
      stop = null;
      if (document.hidden) return;
      stop = new AbortController();
      void keepTrue(followInstances, cache, stop.signal);
      void keepTrue(followEvents, cache, stop.signal);
    };
    turn();
    document.addEventListener('visibilitychange', turn);
    return () => {
      document.removeEventListener('visibilitychange', turn);
      stop?.abort();
    };
  }, [cache]);
}

type Follow = (cache: QueryClient, signal: AbortSignal) => Promise<void>;

async function keepTrue(follow: Follow, cache: QueryClient, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await follow(cache, signal).catch(() => undefined);
    if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** All of them first, because what was deleted while there was no connection is not told. */
async function followInstances(cache: QueryClient, signal: AbortSignal): Promise<void> {
  const found = await Array.fromAsync(client.instances.list({ limit: 100 }, { signal }));
  cache.setQueryData(['instances'], found);
  for await (const change of client.instances.stream({}, { signal, maxRetries: 0 })) {
    cache.setQueryData<Instance[]>(['instances'], (known = []) => merged(known, change));
    void cache.invalidateQueries({ queryKey: ['forecast'] });
    void cache.invalidateQueries({ queryKey: ['instance', change.instanceId] });
  }
}

function merged(known: Instance[], change: Instance | { instanceId: string; deleted: true }): Instance[] {
  if ('deleted' in change) return known.filter(({ instanceId }) => instanceId !== change.instanceId);
  const isKnown = known.some(({ instanceId }) => instanceId === change.instanceId);
  return isKnown ? known.map((one) => (one.instanceId === change.instanceId ? change : one)) : [change, ...known];
}

async function followEvents(cache: QueryClient, signal: AbortSignal): Promise<void> {
  const { latestSeq } = await client.events.list({ after: BEYOND, limit: 1 }, { signal }).page();
  const isNew = (seq: number) => seq > (latestSeq ?? 0);
  const after = Math.max(0, (latestSeq ?? 0) - EVENTS_AT_FIRST);
  cache.setQueryData<FeedEvent[]>(['events'], (known = []) => known);
  for await (const event of client.events.stream({ after }, { signal })) {
    cache.setQueryData<FeedEvent[]>(['events'], (known = []) =>
      known.some(({ seq }) => seq >= event.seq) ? known : [event, ...known].slice(0, EVENTS_KEPT),
    );
    if (isNew(event.seq) && 'instanceId' in event && event.instanceId !== null)
      void cache.invalidateQueries({ queryKey: ['said', event.instanceId] });
  }
}
