import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useLocation } from 'wouter';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Page } from '../../ui/page.tsx';
import { Problem } from '../../ui/problem.tsx';
import { isAsleep, progressOf, Status } from '../../ui/status.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { Agents } from './agents.tsx';
import { Logs } from './logs.tsx';
import { Secrets } from './secrets.tsx';
import { Settings } from './settings.tsx';
import { Skills } from './skills.tsx';

const TABS = [
  ['agents', 'Agents'],
  ['skills', 'Skills'],
  ['secrets', 'Secrets'],
  ['logs', 'Log'],
  ['settings', 'Settings'],
] as const;

/** The instance as the stream tells it, or as it is asked for until then. */
export function useInstance(instanceId: string) {
  const cache = useQueryClient();
  return useQuery({
    queryKey: ['instance', instanceId],
    queryFn: () =>
      cache.getQueryData<Instance[]>(['instances'])?.find((one) => one.instanceId === instanceId) ??
      client.instances.get(instanceId),
    staleTime: Infinity,
  });
}

/** One instance: what it is doing, and everything in it. */
export function InstancePage({ instanceId, tab }: { instanceId: string; tab: string }) {
  const { data: instance, error } = useInstance(instanceId);
  if (!instance) return error ? <Problem error={error} /> : <p className="loading">Loading the instance</p>;
  const progress = progressOf(instance);
  return (
    <Page
      title={instance.name}
      above={['/', 'Instances']}
      mark={<Status instance={instance} />}
      actions={<Power instance={instance} />}
    >
      <p className="muted small id">{instanceId}</p>
      <div role="status">{progress !== null && <p className="notice">{progress}</p>}</div>
      <Tabs base={`/instances/${instanceId}`} tabs={TABS} at={tab} />
      {tab === 'agents' && <Agents instance={instance} />}
      {tab === 'skills' && <Skills instanceId={instanceId} />}
      {tab === 'secrets' && <Secrets instanceId={instanceId} />}
      {tab === 'logs' && <Logs instanceId={instanceId} />}
      {tab === 'settings' && <Settings instance={instance} />}
    </Page>
  );
}

function Power({ instance }: { instance: Instance }) {
  const { instanceId, desiredStatus, status } = instance;
  const [isDeleting, setIsDeleting] = useState(false);
  const change = useMutation({
    mutationFn: async (what: 'start' | 'stop') => {
      if (what === 'start') await client.instances.start(instanceId);
      else await client.instances.stop(instanceId);
    },
  });
  const canStart = desiredStatus !== 'running' || status === 'error' || isAsleep(instance);
  return (
    <>
      {canStart ? (
        <button type="button" onClick={() => change.mutate('start')} disabled={change.isPending || desiredStatus === 'destroyed'}>
          {isAsleep(instance) ? 'Wake' : 'Start'}
        </button>
      ) : (
        <button type="button" onClick={() => change.mutate('stop')} disabled={change.isPending}>
          Stop
        </button>
      )}
      <button type="button" className="danger" onClick={() => setIsDeleting(true)}>
        Delete
      </button>
      {isDeleting && <DeleteDialog instance={instance} onClose={() => setIsDeleting(false)} />}
      <Problem error={change.error} />
    </>
  );
}

function DeleteDialog({ instance, onClose }: { instance: Instance; onClose: () => void }) {
  const [, navigate] = useLocation();
  const [typed, setTyped] = useState('');
  const remove = useMutation({
    mutationFn: () => client.instances.delete(instance.instanceId),
    onSuccess: () => navigate('/'),
  });
  return (
    <Dialog title={`Delete ${instance.name}?`} onClose={onClose}>
      <p>
        Its agents, conversations, files, skills and secrets are deleted and cannot be brought back. The lines of your ledger
        stay.
      </p>
      <label className="field">
        Type the name of the instance to confirm
        <input value={typed} onChange={(event) => setTyped(event.target.value)} />
      </label>
      <Problem error={remove.error} />
      <button
        type="button"
        className="danger"
        disabled={typed !== instance.name || remove.isPending}
        onClick={() => remove.mutate()}
      >
        Delete the instance
      </button>
    </Dialog>
  );
}
