import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { day } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';

const DEFAULTS = { name: 'helper', slug: 'helper', displayName: 'Helper' };

/** The agents of an instance, and new ones. */
export function Agents({ instance }: { instance: Instance }) {
  const { instanceId } = instance;
  const [isCreating, setIsCreating] = useState(false);
  const { data, error } = useQuery({
    queryKey: ['instance', instanceId, 'agents'],
    queryFn: () => Array.fromAsync(client.agents.list(instanceId, { limit: 100 })),
  });
  return (
    <section>
      <Problem error={error} />
      {data?.length === 0 ? (
        <EmptyState title="This instance has no agents">
          <p>An agent has a persona, files and conversations of its own. You can change all of it later.</p>
          <CreateWithDefaults instanceId={instanceId} />
        </EmptyState>
      ) : (
        <ul className="cards">
          {data?.map(({ agentId, displayName, slug, model, status, createdAt }) => (
            <li key={agentId}>
              <Link href={`/instances/${instanceId}/agents/${agentId}`} className="card-link">
                <strong>{displayName}</strong>
                <span className="muted">{slug}</span>
                <span className="muted small">
                  {model}, {status}, since {day(createdAt)}
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
      <button type="button" onClick={() => setIsCreating(true)}>
        Create an agent
      </button>
      {isCreating && <CreateDialog instanceId={instanceId} onClose={() => setIsCreating(false)} />}
      <Sample
        method="POST"
        path={`/instances/${instanceId}/agents`}
        body={DEFAULTS}
        sdk={`const agent = await client.agents.create('${instanceId}', ${JSON.stringify(DEFAULTS)});`}
      />
    </section>
  );
}

function useCreateAgent(instanceId: string) {
  const [, navigate] = useLocation();
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (body: typeof DEFAULTS & { model?: string }) => client.agents.create(instanceId, body),
    onSuccess({ agentId }) {
      void cache.invalidateQueries({ queryKey: ['instance', instanceId] });
      navigate(`/instances/${instanceId}/agents/${agentId}`);
    },
  });
}

function CreateWithDefaults({ instanceId }: { instanceId: string }) {
  const create = useCreateAgent(instanceId);
  return (
    <>
      <button type="button" className="primary" onClick={() => create.mutate(DEFAULTS)} disabled={create.isPending}>
        {create.isPending ? 'Creating the agent' : 'Create one with defaults'}
      </button>
      <Problem error={create.error} />
    </>
  );
}

/** The name in URLs that follows from the name that is shown. */
function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z\d]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 32);
}

function CreateDialog({ instanceId, onClose }: { instanceId: string; onClose: () => void }) {
  const [displayName, setDisplayName] = useState('');
  const [model, setModel] = useState('');
  const create = useCreateAgent(instanceId);
  const models = useQuery({ queryKey: ['models'], queryFn: () => client.models.list() });
  const slug = slugOf(displayName);
  const send = () => create.mutate({ name: displayName, slug, displayName, ...(model === '' ? {} : { model }) });
  return (
    <Dialog title="Create an agent" onClose={onClose}>
      <form onSubmit={submitted(send)}>
        <Field label="Name" hint={slug === '' ? 'Letters and digits.' : `In URLs and events it is ${slug}.`}>
          {(ids) => (
            <input
              {...ids}
              autoFocus
              required
              maxLength={64}
              value={displayName}
              onChange={(event) => setDisplayName(event.target.value)}
            />
          )}
        </Field>
        <Field label="Model" hint="It cannot be changed later.">
          {(ids) => (
            <select {...ids} value={model} onChange={(event) => setModel(event.target.value)}>
              <option value="">The default</option>
              {models.data?.models.map(({ id }) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))}
            </select>
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
