import { useState } from 'react';
import type { QueryOf } from '../../../../sdk/typescript/src/types.ts';
import { client } from '../../client/client.ts';
import { usePages } from '../../client/use-pages.ts';
import { fromNow, time } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { Chips } from '../../ui/chips.tsx';
import { ShowMore } from '../../ui/show-more.tsx';

type State = NonNullable<QueryOf<'runtimes.list'>['state']>;

const STATES: Record<State, string> = {
  awake: 'takes messages',
  claimed: 'starts or stops for its instance',
  suspended: 'sleeps, its memory in swap',
  stopped: 'no gateway runs',
  ready: 'in the pool, to be claimed',
  warming: 'in the pool, not ready yet',
  ending: 'leaves the pool',
  unowned: 'without an owner',
};
const FILTERS = ['all', 'awake', 'claimed', 'suspended', 'stopped', 'ready', 'warming', 'ending', 'unowned'] as const;

/** Gateways with their storage, on every node: those of instances, and those of the pool, which the next new instance gets. */
export function Runtimes() {
  const [filter, setFilter] = useState<(typeof FILTERS)[number]>('all');
  const list = usePages(['operator', 'runtimes', filter], (place) =>
    client.operator.runtimes.list({ ...(filter !== 'all' && { state: filter }), limit: 50, ...place }).page(),
  );
  const runtimes = list.data?.pages.flatMap((page) => page.runtimes);
  return (
    <section>
      <Chips label="State" options={FILTERS} chosen={filter} onChoose={setFilter} />
      <Problem error={list.error} />
      {runtimes?.length === 0 && <EmptyState title="There are no such runtimes" />}
      <ul className="rows long">
        {runtimes?.map(({ runtimeId, state, instanceId, node, driver, pin, createdAt, readyAt, claimedAt }) => (
          <li key={runtimeId}>
            <span>
              <code>{runtimeId}</code> <span className="tag">{state}</span> <span className="muted small">{STATES[state]}</span>
              <span className="muted small block id">
                {instanceId === null ? 'no instance' : instanceId}, {node === null ? 'not placed yet' : `on ${node}`}
                {driver !== null && `, ${driver}`}
                {pin !== null && `, OpenClaw ${pin}`}
              </span>
              <span className="muted small block" title={time(createdAt)}>
                Made {fromNow(createdAt)}
                {readyAt !== null && `, ready ${fromNow(readyAt)}`}
                {claimedAt !== null && `, claimed ${fromNow(claimedAt)}`}
              </span>
            </span>
          </li>
        ))}
      </ul>
      <ShowMore list={list} />
      <Sample
        isOfOperator
        path="/admin/runtimes?state=ready"
        sdk="for await (const runtime of client.operator.runtimes.list({ state: 'ready' })) console.log(runtime);"
      />
    </section>
  );
}
