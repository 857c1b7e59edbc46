import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { time } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';

/** The secrets of an instance by their names. A value is written, and never shown again. */
export function Secrets({ instanceId }: { instanceId: string }) {
  const cache = useQueryClient();
  const queryKey = ['instance', instanceId, 'secrets'];
  const again = () => cache.invalidateQueries({ queryKey });
  const { data, error } = useQuery({
    queryKey,
    queryFn: () => Array.fromAsync(client.secrets.list(instanceId, { limit: 100 })),
  });
  const remove = useMutation({ mutationFn: (key: string) => client.secrets.delete(instanceId, key), onSuccess: again });
  return (
    <section>
      <p className="muted">Agents can use these values. They are stored encrypted, and a change restarts the instance.</p>
      <Problem error={error ?? remove.error} />
      {data?.length === 0 && <EmptyState title="No secrets are stored" />}
      {data && data.length > 0 && (
        <ul className="rows">
          {data.map(({ key, updatedAt }) => (
            <li key={key}>
              <code>{key}</code>
              <span className="muted small">changed {time(updatedAt)}</span>
              <button type="button" className="quiet danger" disabled={remove.isPending} onClick={() => remove.mutate(key)}>
                Delete
              </button>
            </li>
          ))}
        </ul>
      )}
      <Store instanceId={instanceId} onStored={again} />
      <Sample
        method="POST"
        path={`/instances/${instanceId}/secrets`}
        body={{ secrets: { GITHUB_TOKEN: '...' } }}
        sdk={`await client.secrets.store('${instanceId}', { secrets: { GITHUB_TOKEN: process.env.GITHUB_TOKEN } });`}
      />
    </section>
  );
}

function Store({ instanceId, onStored }: { instanceId: string; onStored: () => unknown }) {
  const [key, setKey] = useState('');
  const [value, setValue] = useState('');
  const store = useMutation({
    mutationFn: () => client.secrets.store(instanceId, { secrets: { [key]: value } }),
    onSuccess() {
      setKey('');
      setValue('');
      return onStored();
    },
  });
  return (
    <form className="inline-form" onSubmit={submitted(() => store.mutate())}>
      <Field label="Name" hint="Such as GITHUB_TOKEN">
        {(ids) => (
          <input
            {...ids}
            required
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.target.value.toUpperCase())}
          />
        )}
      </Field>
      <Field label="Value">
        {(ids) => (
          <input
            {...ids}
            type="password"
            required
            autoComplete="new-password"
            value={value}
            onChange={(event) => setValue(event.target.value)}
          />
        )}
      </Field>
      <button type="submit" disabled={store.isPending}>
        Store
      </button>
      <Problem error={store.error} />
    </form>
  );
}
