import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import type { BodyOf } from '../../../../sdk/typescript/src/types.ts';
import { client } from '../../client/client.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { submitted } from '../../ui/submitted.ts';
import { AmountField, NameField, WarnField } from './fields.tsx';
import { isScopeKind, SCOPES } from './scope.ts';
import type { ScopeKind } from './scope.ts';

type NewBudget = BodyOf<'budgets.create'>;
const PERIODS: [NewBudget['period'], string][] = [
  ['day', 'each day'],
  ['month', 'each month'],
  ['total', 'in total, once'],
];

/** A new budget: how much, in which period, of what. */
export function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [limitUsd, setLimitUsd] = useState('10.00');
  const [warnAt, setWarnAt] = useState('80');
  const [period, setPeriod] = useState<NewBudget['period']>('month');
  const [kind, setKind] = useState<ScopeKind | ''>('');
  const [which, setWhich] = useState('*');
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: () =>
      client.budgets.create({ name, limitUsd, period, warnAt: Number(warnAt), scope: kind === '' ? {} : { [kind]: which } }),
    onSuccess() {
      onClose();
      return cache.invalidateQueries({ queryKey: ['budgets'] });
    },
  });
  return (
    <Dialog title="Create a budget" onClose={onClose}>
      <form onSubmit={submitted(() => create.mutate())}>
        <NameField value={name} onChange={setName} />
        <AmountField value={limitUsd} onChange={setLimitUsd} />
        <Field label="Period" hint="Days and months are those of UTC.">
          {(ids) => (
            <select
              {...ids}
              value={period}
              onChange={({ target }) => setPeriod(PERIODS.find(([one]) => one === target.value)?.[0] ?? 'month')}
            >
              {PERIODS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="It counts what is spent by">
          {(ids) => (
            <select
              {...ids}
              value={kind}
              onChange={({ target }) => {
                setKind(isScopeKind(target.value) ? target.value : '');
                setWhich('*');
              }}
            >
              <option value="">the whole account</option>
              {Object.entries(SCOPES).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        {kind !== '' && <Which kind={kind} value={which} onChange={setWhich} />}
        <WarnField value={warnAt} onChange={setWarnAt} />
        <Problem error={create.error} />
        <button type="submit" className="primary" disabled={create.isPending}>
          Create
        </button>
      </form>
    </Dialog>
  );
}

/** Each of its kind separately, or one of them. */
function Which({ kind, value, onChange }: { kind: ScopeKind; value: string; onChange: (value: string) => void }) {
  const known = useKnown(kind);
  const each = `each ${SCOPES[kind]} separately`;
  if (known === null)
    return (
      <Field label="Which" hint={`* is ${each}; else its id, as your messages name it.`}>
        {(ids) => <input {...ids} required maxLength={128} value={value} onChange={(event) => onChange(event.target.value)} />}
      </Field>
    );
  return (
    <Field label="Which">
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="*">{each}</option>
          {known.map(([id, name]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** Those that the account has, with their names; null for what only messages name. */
function useKnown(kind: ScopeKind): [string, string][] | null {
  const cache = useQueryClient();
  const keys = useQuery({
    queryKey: ['keys'],
    queryFn: () => Array.fromAsync(client.keys.list({ limit: 100 })),
    enabled: kind === 'keyId',
  });
  const instances = cache.getQueryData<Instance[]>(['instances']) ?? [];
  if (kind === 'instanceId') return instances.map(({ instanceId, name }) => [instanceId, name]);
  if (kind === 'agentId')
    return instances.flatMap(({ name, agents }) =>
      agents.map(({ agentId, slug }): [string, string] => [agentId, `${name}: ${slug}`]),
    );
  return kind === 'keyId' ? (keys.data ?? []).map(({ keyId, name }) => [keyId, name]) : null;
}
