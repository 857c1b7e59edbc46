import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { BodyOf } from '../../../sdk/typescript/src/types.ts';
import { client } from '../client/client.ts';
import { day, fromNow } from '../format.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Field } from '../ui/field.tsx';
import { Page } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sample } from '../ui/sample.tsx';
import { submitted } from '../ui/submitted.ts';

const SCOPES = ['read', 'messages', 'write', 'secrets', 'keys'] as const;

/** API keys: what they may do, when they were used, new ones. */
export function Keys() {
  const [isCreating, setIsCreating] = useState(false);
  const cache = useQueryClient();
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
                {instanceId !== null && `, only ${instanceId}`}; made {day(createdAt)};{' '}
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

function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<readonly (typeof SCOPES)[number][]>(SCOPES);
  const create = useMutation({ mutationFn: (body: BodyOf<'keys.create'>) => client.keys.create(body) });
  const toggle = (scope: (typeof SCOPES)[number]) =>
    setScopes(SCOPES.filter((one) => (one === scope ? !scopes.includes(one) : scopes.includes(one))));
  if (create.data)
    return (
      <Dialog title="Your new key" onClose={onClose}>
        <p>This is the only time that the key is shown. Store it where your program finds it.</p>
        <p className="secret">
          <code>{create.data.apiKey}</code> <CopyButton text={create.data.apiKey} what="the key" />
        </p>
      </Dialog>
    );
  return (
    <Dialog title="Create a key" onClose={onClose}>
      <form onSubmit={submitted(() => create.mutate({ name, scopes: [...scopes] }))}>
        <Field label="Name">
          {(ids) => (
            <input {...ids} autoFocus required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />
          )}
        </Field>
        <fieldset>
          <legend>It may</legend>
          {SCOPES.map((scope) => (
            <label key={scope} className="check">
              <input type="checkbox" checked={scopes.includes(scope)} onChange={() => toggle(scope)} /> {scope}
            </label>
          ))}
        </fieldset>
        <Problem error={create.error} />
        <button type="submit" className="primary" disabled={create.isPending || scopes.length === 0}>
          Create
        </button>
      </form>
    </Dialog>
  );
}
