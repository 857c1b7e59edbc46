import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { day, fromNow } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Page } from '../../ui/page.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { CreateDialog } from './create-dialog.tsx';
import { SCOPES } from './scopes.ts';

/** API keys: what they may do, when they were used, new ones. */
export function Keys() {
  const [isCreating, setIsCreating] = useState(false);
  const cache = useQueryClient();
  const instances = cache.getQueryData<Instance[]>(['instances']) ?? [];
  const nameOf = (id: string) => instances.find(({ instanceId }) => instanceId === id)?.name ?? id;
  const again = () => cache.invalidateQueries({ queryKey: ['keys'] });
  const { data, error } = useQuery({ queryKey: ['keys'], queryFn: () => Array.fromAsync(client.keys.list({ limit: 100 })) });
  const revoke = useMutation({ mutationFn: (keyId: string) => client.keys.revoke(keyId), onSuccess: again });
  return (
    <Page
      title="API keys"
      actions={
        <button type="button" className="primary" onClick={() => setIsCreating(true)}>
          Create a key
        </button>
      }
    >
      <Problem error={error ?? revoke.error} />
      {data?.length === 0 && (
        <EmptyState title="You have no API keys">
          <p>Programs call the API with a key. A key can be limited to what its program needs.</p>
        </EmptyState>
      )}
      <ul className="rows">
        {data?.map(({ keyId, name, prefix, last4, createdAt, lastUsedAt, expiresAt, scopes, instanceId }) => (
          <li key={keyId}>
            <span>
              <strong>{name}</strong>{' '}
              <code>
                {prefix}…{last4}
              </code>
              <span className="muted small block">
                {scopes.length === SCOPES.length ? 'may do everything' : scopes.join(', ')}
                {instanceId !== null && `, only in ${nameOf(instanceId)}`}; made {day(createdAt)};{' '}
                {lastUsedAt === null ? 'never used' : `used ${fromNow(lastUsedAt)}`}
                {expiresAt !== null && `; expires ${day(expiresAt)}`}
              </span>
            </span>
            <button type="button" className="quiet danger" disabled={revoke.isPending} onClick={() => revoke.mutate(keyId)}>
              Revoke
            </button>
          </li>
        ))}
      </ul>
      {isCreating && (
        <CreateDialog
          onClose={() => {
            setIsCreating(false);
            void again();
          }}
        />
      )}
      <Sample
        method="POST"
        path="/auth/keys"
        body={{ name: 'support-site', scopes: ['read', 'messages'] }}
        sdk={"const { apiKey } = await client.keys.create({ name: 'support-site', scopes: ['read', 'messages'] });"}
      />
    </Page>
  );
}
