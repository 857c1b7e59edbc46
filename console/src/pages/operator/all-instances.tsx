import { useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { OperatorInstance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { usePages } from '../../client/use-pages.ts';
import { CopyButton } from '../../ui/copy-button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { progressOf, Status } from '../../ui/status.tsx';
import { Chips } from '../../ui/chips.tsx';
import { ShowMore } from '../../ui/show-more.tsx';

const FILTERS = ['all', 'stuck', 'running', 'provisioning', 'stopped', 'error', 'destroying'] as const;
type Filter = (typeof FILTERS)[number];

function queryOf(filter: Filter) {
  if (filter === 'all') return {};
  return filter === 'stuck' ? { stuck: 'true' as const } : { status: filter };
}

/** The instances of all accounts, and why they are stuck. */
export function AllInstances() {
  const [filter, setFilter] = useState<Filter>('all');
  const list = usePages(['operator', 'instances', filter], (place) =>
    client.operator.instances.list({ ...queryOf(filter), limit: 50, ...place }).page(),
  );
  const instances = list.data?.pages.flatMap((page) => page.instances);
  return (
    <section>
      <Chips label="Filter" options={FILTERS} chosen={filter} onChoose={setFilter} />
      <Problem error={list.error} />
      {instances?.length === 0 && <EmptyState title={filter === 'stuck' ? 'No instance is stuck' : 'No such instances'} />}
      <ul className="rows long">
        {instances?.map((instance) => (
          <Row key={instance.instanceId} instance={instance} />
        ))}
      </ul>
      <ShowMore list={list} />
      <Sample
        isOfOperator
        path="/admin/instances?stuck=true"
        sdk="for await (const { instanceId } of client.operator.instances.list({ stuck: 'true' })) await client.operator.instances.reconcile(instanceId);"
      />
    </section>
  );
}

function Row({ instance }: { instance: OperatorInstance }) {
  const { instanceId, accountId, name, workflowId, workflowUrl } = instance;
  const cache = useQueryClient();
  const act = useMutation({
    mutationFn: async (what: 'stop' | 'reconcile') => {
      if (what === 'stop') await client.operator.instances.stop(instanceId);
      else await client.operator.instances.reconcile(instanceId);
    },
    onSuccess: () => cache.invalidateQueries({ queryKey: ['operator', 'instances'] }),
  });
  return (
    <li>
      <span>
        <strong>{name}</strong> <Status instance={instance} />
        <span className="muted small block">{progressOf(instance)}</span>
        <span className="muted small block id">
          {accountId}, workflow {workflowId}{' '}
          {workflowUrl === null ? (
            <CopyButton text={workflowId} what="the id of the workflow" />
          ) : (
            <a href={workflowUrl} target="_blank" rel="noreferrer">
              Its runs in Temporal
            </a>
          )}
        </span>
        <Problem error={act.error} />
      </span>
      <span className="actions">
        <button type="button" disabled={act.isPending} onClick={() => act.mutate('reconcile')}>
          Reconcile
        </button>
        <button type="button" disabled={act.isPending} onClick={() => act.mutate('stop')}>
          Stop
        </button>
      </span>
    </li>
  );
}
