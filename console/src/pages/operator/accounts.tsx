import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { day, money } from '../../format.ts';
import { CopyButton } from '../../ui/copy-button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { submitted } from '../../ui/submitted.ts';

/** The newest accounts, or the one of an address: their money, and new invites. */
export function Accounts() {
  const [email, setEmail] = useState('');
  const [wanted, setWanted] = useState('');
  const { data, error } = useQuery({
    queryKey: ['operator', 'accounts', wanted],
    queryFn: () => client.operator.accounts.list({ limit: 50, ...(wanted && { email: wanted }) }).page(),
  });
  return (
    <section>
      <Invite />
      <form className="inline-form" onSubmit={submitted(() => setWanted(email))}>
        <Field label="Email" hint="Leave it empty for the newest accounts.">
          {(ids) => <input {...ids} type="email" value={email} onChange={(event) => setEmail(event.target.value)} />}
        </Field>
        <button type="submit">Find</button>
      </form>
      <Problem error={error} />
      {data?.accounts.length === 0 && <EmptyState title="There is no account with this email" />}
      <ul className="rows">
        {data?.accounts.map(({ accountId, email: address, name, balanceNanoUsd, createdAt }) => (
          <li key={accountId}>
            <span>
              <strong>{name}</strong> {address}
              <span className="muted small block id">
                {accountId}, since {day(createdAt)}, {money(balanceNanoUsd)} left
              </span>
            </span>
            <Grant accountId={accountId} name={name} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Invite() {
  const invite = useMutation({ mutationFn: () => client.operator.invites.create({}) });
  return (
    <div className="secret">
      <button type="button" disabled={invite.isPending} onClick={() => invite.mutate()}>
        Create an invite
      </button>
      {invite.data && (
        <>
          <code>{invite.data.code}</code> <CopyButton text={invite.data.code} what="the invite code" />
        </>
      )}
      <Problem error={invite.error} />
    </div>
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
