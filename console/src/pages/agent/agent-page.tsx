import { lazy } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useLocation } from 'wouter';
import { client } from '../../client/client.ts';
import { Page } from '../../ui/page.tsx';
import { Problem } from '../../ui/problem.tsx';
import { progressOf, Status, takesMessages } from '../../ui/status.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { useInstance } from '../instance/instance-page.tsx';
import { Chat } from './chat.tsx';
import { Crons } from './crons.tsx';

const Persona = lazy(() => import('./persona.tsx').then((page) => ({ default: page.Persona })));

const TABS = [
  ['chat', 'Chat'],
  ['persona', 'Persona'],
  ['crons', 'Cron jobs'],
] as const;

export interface AgentPlace {
  instanceId: string;
  agentId: string;
}

/** One agent: talk to it, change what it is, and let it work by the clock. */
export function AgentPage({ instanceId, agentId, tab }: AgentPlace & { tab: string }) {
  const place = { instanceId, agentId };
  const { data: instance } = useInstance(instanceId);
  const agent = useQuery({
    queryKey: ['instance', instanceId, 'agent', agentId],
    queryFn: () => client.agents.get(instanceId, agentId),
  });
  if (!agent.data || !instance)
    return agent.error ? <Problem error={agent.error} /> : <p className="loading">Loading the agent</p>;
  const progress = progressOf(instance);
  const isReady = takesMessages(instance);
  const isComing = instance.desiredStatus === 'running' && instance.status !== 'error';
  return (
    <Page
      title={agent.data.displayName}
      above={[`/instances/${instanceId}`, instance.name]}
      mark={<Status instance={instance} />}
      actions={<Delete {...place} name={agent.data.displayName} />}
    >
      <p className="muted small id">
        {agentId}, {agent.data.model}
      </p>
      <div role="status">{progress !== null && <p className="notice">{progress}</p>}</div>
      <Tabs base={`/instances/${instanceId}/agents/${agentId}`} tabs={TABS} at={tab} />
      {tab === 'chat' && <Chat {...place} name={agent.data.displayName} isReady={isReady} isComing={isComing} />}
      {tab === 'persona' && <Persona {...place} files={agent.data.files} />}
      {tab === 'crons' && <Crons {...place} isReady={isReady} />}
    </Page>
  );
}

function Delete({ instanceId, agentId, name }: AgentPlace & { name: string }) {
  const [, navigate] = useLocation();
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: () => client.agents.delete(instanceId, agentId),
    onSuccess() {
      void cache.invalidateQueries({ queryKey: ['instance', instanceId] });
      navigate(`/instances/${instanceId}`);
    },
  });
  const ask = () => {
    if (confirm(`Delete ${name}, its files and its conversations? They cannot be brought back.`)) remove.mutate();
  };
  return (
    <>
      <button type="button" className="danger" onClick={ask} disabled={remove.isPending}>
        Delete
      </button>
      <Problem error={remove.error} />
    </>
  );
}
