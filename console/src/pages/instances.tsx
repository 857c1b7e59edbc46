import { useState } from 'react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import type { Instance } from '../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../client/client.ts';
import { count, duration, fromNow, money, time } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Field } from '../ui/field.tsx';
import { Page } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sample } from '../ui/sample.tsx';
import { progressOf, Status } from '../ui/status.tsx';
import { submitted } from '../ui/submitted.ts';
import { createFirstAgent } from './first-agent.ts';

const HOUR_MS = 3_600_000;

/** All instances of the account: what they are doing and what they cost. */
export function Instances() {
  const [isCreating, setIsCreating] = useState(false);
  // The stream fills it; it is asked for only once.
  const list = () => Array.fromAsync(client.instances.list({ limit: 100 }));
  const { data: instances, error } = useQuery({ queryKey: ['instances'], queryFn: list, staleTime: Infinity });
  return (
    <Page
      title="Instances"
      actions={
        <button type="button" className="primary" onClick={() => setIsCreating(true)}>
          Create an instance
        </button>
      }
    >
      <Problem error={error} />
      {instances?.length === 0 && <FirstAgent />}
      {instances !== undefined && instances.length > 0 && (
        <>
          <Money running={instances.filter(({ status }) => status === 'running').length} />
          <List instances={instances} />
        </>
      )}
      {isCreating && <CreateDialog onClose={() => setIsCreating(false)} />}
      <Sample
        method="POST"
        path="/instances?wait=60"
        body={{ name: 'support' }}
        sdk={"const instance = await client.instances.create({ name: 'support' }, { wait: 60 });"}
      />
    </Page>
  );
}

/** One button to an agent that answers. */
function FirstAgent() {
  const [, navigate] = useLocation();
  const create = useMutation({ mutationFn: createFirstAgent, onSuccess: (path) => navigate(path) });
  return (
    <EmptyState title="You have no agents yet">
      <p>
        An agent lives in an instance: an OpenClaw gateway that is yours alone. The button creates both, and opens a chat with the
        agent while they start.
      </p>
      <button type="button" className="primary" onClick={() => create.mutate()} disabled={create.isPending}>
        {create.isPending ? 'Creating your agent' : 'Create your first agent'}
      </button>
      <Problem error={create.error} />
    </EmptyState>
  );
}

function Money({ running }: { running: number }) {
  const { data } = useQuery({ queryKey: ['forecast'], queryFn: () => client.billing.forecast() });
  if (!data) return <div className="tiles" aria-busy="true" />;
  return (
    <dl className="tiles">
      <div>
        <dt>Running now</dt>
        <dd>{running}</dd>
      </div>
      <div>
        <dt>Costs now</dt>
        <dd>
          {money(data.burnNanoUsdPerHour)} <small>per hour</small>
        </dd>
      </div>
      <div>
        <dt>Balance</dt>
        <dd>
          {money(data.balanceNanoUsd)}{' '}
          <small>{data.hoursLeft === null ? '' : `lasts ${duration(data.hoursLeft * HOUR_MS)}`}</small>
        </dd>
      </div>
    </dl>
  );
}

function List({ instances }: { instances: readonly Instance[] }) {
  const usage = useQuery({ queryKey: ['usage', 'instance'], queryFn: () => client.billing.usage({ groupBy: 'instance' }) });
  const charged = new Map(usage.data?.rows.map(({ key, chargedNanoUsd }) => [key, chargedNanoUsd]));
  return (
    <div className="table-scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Status</th>
            <th scope="col" className="number wide-only">
              Agents
            </th>
            <th scope="col" className="number">
              Cost in 30 days
            </th>
            <th scope="col" className="wide-only">
              Since
            </th>
          </tr>
        </thead>
        <tbody>
          {instances.map((instance) => (
            <tr key={instance.instanceId}>
              <th scope="row">
                <Link href={`/instances/${instance.instanceId}`}>{instance.name}</Link>
                <span className="muted small block">{progressOf(instance)}</span>
              </th>
              <td>
                <Status instance={instance} />
              </td>
              <td className="number wide-only">{count(instance.agents.length)}</td>
              <td className="number">{money(charged.get(instance.instanceId) ?? '0')}</td>
              <td className="wide-only" title={time(instance.startedAt ?? instance.createdAt)}>
                {fromNow(instance.transition?.startedAt ?? instance.startedAt ?? instance.createdAt)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [, navigate] = useLocation();
  const create = useMutation({
    mutationFn: () => client.instances.create({ name }),
    onSuccess: ({ instanceId }) => navigate(`/instances/${instanceId}`),
  });
  return (
    <Dialog title="Create an instance" onClose={onClose}>
      <form onSubmit={submitted(() => create.mutate())}>
        <Field label="Name" hint="It starts at once. Its price counts from the moment when it runs.">
          {(ids) => (
            <input {...ids} autoFocus required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />
          )}
        </Field>
        <Problem error={create.error} />
        <button type="submit" className="primary" disabled={create.isPending}>
          {create.isPending ? 'Creating' : 'Create'}
        </button>
      </form>
    </Dialog>
  );
}
