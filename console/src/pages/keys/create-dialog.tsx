import { useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { CopyButton } from '../../ui/copy-button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { submitted } from '../../ui/submitted.ts';
import { SCOPE_TEXTS, SCOPES } from './scopes.ts';
import type { Scope } from './scopes.ts';

const DAY_MS = 24 * 3_600_000;
/** For how many days a key may be valid; 0: without an end. */
const LIFETIMES = [
  ['0', 'Never'],
  ['1', 'In a day'],
  ['7', 'In 7 days'],
  ['30', 'In 30 days'],
  ['90', 'In 90 days'],
  ['365', 'In a year'],
] as const;

/** A new key, limited to what its program needs. */
export function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<readonly Scope[]>(SCOPES);
  const [instanceId, setInstanceId] = useState('');
  const [days, setDays] = useState('0');
  const create = useMutation({
    mutationFn: () =>
      client.keys.create({
        ...{ name, scopes: [...scopes] },
        ...(instanceId !== '' && { instanceId }),
        ...(days !== '0' && { expiresAt: new Date(Date.now() + Number(days) * DAY_MS).toISOString() }),
      }),
  });
  if (create.data) return <NewKey apiKey={create.data.apiKey} onClose={onClose} />;
  return (
    <Dialog title="Create a key" onClose={onClose}>
      <form onSubmit={submitted(() => create.mutate())}>
        <Field label="Name">
          {(ids) => (
            <input {...ids} autoFocus required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />
          )}
        </Field>
        <Scopes scopes={scopes} onChange={setScopes} />
        <InstanceField value={instanceId} onChange={setInstanceId} />
        <Field label="It expires">
          {(ids) => (
            <select {...ids} value={days} onChange={(event) => setDays(event.target.value)}>
              {LIFETIMES.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Problem error={create.error} />
        <button type="submit" className="primary" disabled={create.isPending || scopes.length === 0}>
          Create
        </button>
      </form>
    </Dialog>
  );
}

function NewKey({ apiKey, onClose }: { apiKey: string; onClose: () => void }) {
  return (
    <Dialog title="Your new key" onClose={onClose}>
      <p>This is the only time that the key is shown. Store it where your program finds it.</p>
      <p className="secret">
        <code>{apiKey}</code> <CopyButton text={apiKey} what="the key" />
      </p>
    </Dialog>
  );
}

function Scopes({ scopes, onChange }: { scopes: readonly Scope[]; onChange: (scopes: readonly Scope[]) => void }) {
  const toggle = (scope: Scope) =>
    onChange(SCOPES.filter((one) => (one === scope ? !scopes.includes(one) : scopes.includes(one))));
  return (
    <fieldset className="checks">
      <legend>It may</legend>
      {SCOPES.map((scope) => (
        <label key={scope} className="check">
          <input type="checkbox" checked={scopes.includes(scope)} onChange={() => toggle(scope)} /> <strong>{scope}</strong>{' '}
          <span className="muted small">{SCOPE_TEXTS[scope]}</span>
        </label>
      ))}
    </fieldset>
  );
}

function InstanceField({ value, onChange }: { value: string; onChange: (instanceId: string) => void }) {
  const cache = useQueryClient();
  const instances = cache.getQueryData<Instance[]>(['instances']) ?? [];
  return (
    <Field label="Where" hint="A key of one instance cannot make calls about the whole account.">
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">In the whole account</option>
          {instances.map(({ instanceId, name }) => (
            <option key={instanceId} value={instanceId}>
              Only in {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
