import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { day, money } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';
import { Invites } from './invites.tsx';

/** Invites, and the newest accounts or the one of an address: their money, and who is an operator. */
export function Accounts() {
  const [email, setEmail] = useState('');
  const [wanted, setWanted] = useState('');
  const { data, error } = useQuery({
    queryKey: ['operator', 'accounts', wanted],
    queryFn: () => client.operator.accounts.list({ limit: 50, ...(wanted && { email: wanted }) }).page(),
  });
  return (
    <section>
      <Invites />
      <h2>Accounts</h2>
      <form className="inline-form" onSubmit={submitted(() => setWanted(email))}>
        <Field label="Email" hint="Leave it empty for the newest accounts.">
          {(ids) => <input {...ids} type="email" value={email} onChange={(event) => setEmail(event.target.value)} />}
        </Field>
        <button type="submit">Find</button>
      </form>
      <Problem error={error} />
      {data?.accounts.length === 0 && <EmptyState title="There is no account with this email" />}
      <ul className="rows">
        {data?.accounts.map(({ accountId, email: address, name, balanceNanoUsd, createdAt, deletedAt, operator }) => (
          <li key={accountId}>
            <span>
              <strong>{name}</strong> {address} {operator && <span className="tag">operator</span>}{' '}
              {deletedAt !== null && <span className="tag tag-bad">deleted</span>}
              <span className="muted small block id">
                {accountId}, since {day(createdAt)}, {money(balanceNanoUsd)} left
              </span>
            </span>
            {deletedAt === null && (
              <span className="actions">
                <Grant accountId={accountId} name={name} />
                <Promote accountId={accountId} name={name} isOperator={operator} />
              </span>
            )}
          </li>
        ))}
      </ul>
      <Sample
        isOfOperator
        method="POST"
        path="/admin/accounts/acc_.../grants"
        body={{ amountUsd: '12.50', reason: 'Credit' }}
        sdk="await client.operator.grants.create(accountId, { amountUsd: '12.50', reason: 'Credit' });"
      />
    </section>
  );
}

function Grant({ accountId, name }: { accountId: string; name: string }) {
  const [amountUsd, setAmountUsd] = useState('');
  const cache = useQueryClient();
  const grant = useMutation({
    mutationFn: () => client.operator.grants.create(accountId, { amountUsd, reason: 'Credit' }),
    onSuccess() {
      setAmountUsd('');
      return cache.invalidateQueries({ queryKey: ['operator', 'accounts'] });
    },
  });
  return (
    <form className="grant" onSubmit={submitted(() => grant.mutate())}>
      <input
        aria-label={`Credit for ${name} in USD`}
        placeholder="10.00"
        inputMode="decimal"
        required
        value={amountUsd}
        onChange={(event) => setAmountUsd(event.target.value)}
      />
      <button type="submit" disabled={grant.isPending}>
        Add credit
      </button>
      <Problem error={grant.error} />
    </form>
  );
}

/** Makes an account an operator, or takes that away. The audit names who did it. */
function Promote({ accountId, name, isOperator }: { accountId: string; name: string; isOperator: boolean }) {
  const cache = useQueryClient();
  const change = useMutation({
    mutationFn: () => client.operator.accounts.update(accountId, { operator: !isOperator }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ['operator', 'accounts'] }),
  });
  const ask = () => {
    const question = isOperator
      ? `Take the rights of an operator away from ${name}?`
      : `Make ${name} an operator? Then this account sees and changes the instances, credit and accounts of everybody.`;
    if (confirm(question)) change.mutate();
  };
  return (
    <>
      <button type="button" disabled={change.isPending} onClick={ask}>
        {isOperator ? 'No operator any more' : 'Make an operator'}
      </button>
      <Problem error={change.error} />
    </>
  );
}
