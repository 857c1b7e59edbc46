import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';

/** The installed skills, and those that can be installed. */
export function Skills({ instanceId }: { instanceId: string }) {
  const cache = useQueryClient();
  const queryKey = ['instance', instanceId, 'skills'];
  const installed = useQuery({
    queryKey,
    queryFn: () => Array.fromAsync(client.skills.list(instanceId, { limit: 100 })),
  });
  const catalogue = useQuery({ queryKey: ['catalogue'], queryFn: () => client.skills.catalogue(), staleTime: Infinity });
  const change = useMutation({
    mutationFn: async ({ name, install }: { name: string; install: boolean }) => {
      if (install) await client.skills.install(instanceId, { name });
      else await client.skills.delete(instanceId, name);
    },
    onSuccess: () => cache.invalidateQueries({ queryKey }),
  });
  const names = new Set(installed.data?.map(({ name }) => name));
  return (
    <section>
      <Problem error={installed.error ?? catalogue.error ?? change.error} />
      <h2>Installed</h2>
      {installed.data?.length === 0 && <EmptyState title="No skills are installed" />}
      <ul className="rows">
        {installed.data?.map(({ name, description, status, type }) => (
          <li key={name}>
            <span>
              <strong>{name}</strong>{' '}
              <span className="muted small">
                {type === 'custom' ? 'your own, ' : ''}
                {status}
              </span>
              <span className="muted small block">{description}</span>
            </span>
            <button type="button" className="quiet danger" onClick={() => change.mutate({ name, install: false })}>
              Remove
            </button>
          </li>
        ))}
      </ul>
      <h2>Catalogue</h2>
      <ul className="rows long">
        {catalogue.data
          ?.filter(({ id }) => !names.has(id))
          .map(({ id, description }) => (
            <li key={id}>
              <span>
                <strong>{id}</strong>
                <span className="muted small block">{description}</span>
              </span>
              <button type="button" disabled={change.isPending} onClick={() => change.mutate({ name: id, install: true })}>
                Install
              </button>
            </li>
          ))}
      </ul>
      <Sample
        method="POST"
        path={`/instances/${instanceId}/skills`}
        body={{ name: 'github' }}
        sdk={`await client.skills.install('${instanceId}', { name: 'github' });`}
      />
    </section>
  );
}
