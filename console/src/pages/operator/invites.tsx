import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { day } from '../../format.ts';
import { CopyButton } from '../../ui/copy-button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { submitted } from '../../ui/submitted.ts';

const SHOWN = 20;

/** The newest invites, and new ones. */
export function Invites() {
  const [isCreating, setIsCreating] = useState(false);
  const cache = useQueryClient();
  const { data, error } = useQuery({
    queryKey: ['operator', 'invites'],
    queryFn: () => client.operator.invites.list({ limit: SHOWN }).page(),
  });
  return (
    <>
      <div className="files-head">
        <h2>Invites</h2>
        <button type="button" onClick={() => setIsCreating(true)}>
          Create an invite
        </button>
      </div>
      <Problem error={error} />
      <ul className="rows">
        {data?.invites.map(({ code, uses, usedCount, email, creditUsd, expiresAt, createdAt }) => (
          <li key={code}>
            <span>
              <code>{code}</code> <CopyButton text={code} what={`the invite code ${code}`} />
              <span className="muted small block">
                {usedCount} of {uses} used, made {day(createdAt)}
                {email !== null && `, only for ${email}`}
                {creditUsd !== null && `, with $${creditUsd}`}
                {expiresAt !== null && `, until ${day(expiresAt)}`}
              </span>
            </span>
          </li>
        ))}
      </ul>
      {isCreating && (
        <CreateDialog
          onClose={() => setIsCreating(false)}
          onCreated={() => cache.invalidateQueries({ queryKey: ['operator', 'invites'] })}
        />
      )}
    </>
  );
}

function CreateDialog({ onClose, onCreated }: { onClose: () => void; onCreated: () => unknown }) {
  const [uses, setUses] = useState('1');
  const [email, setEmail] = useState('');
  const [creditUsd, setCreditUsd] = useState('');
  const create = useMutation({
    mutationFn: () =>
      client.operator.invites.create({ uses: Number(uses), ...(email && { email }), ...(creditUsd && { creditUsd }) }),
    onSuccess: onCreated,
  });
  if (create.data)
    return (
      <Dialog title="Your new invite" onClose={onClose}>
        <p className="secret">
          <code>{create.data.code}</code> <CopyButton text={create.data.code} what="the invite code" />
        </p>
      </Dialog>
    );
  return (
    <Dialog title="Create an invite" onClose={onClose}>
      <form onSubmit={submitted(() => create.mutate())}>
        <Field label="For how many accounts">
          {(ids) => (
            <input {...ids} type="number" min={1} required value={uses} onChange={(event) => setUses(event.target.value)} />
          )}
        </Field>
        <Field label="Email" hint="Only this address can use it; empty: any.">
          {(ids) => <input {...ids} type="email" value={email} onChange={(event) => setEmail(event.target.value)} />}
        </Field>
        <Field label="Credit in USD" hint="Empty: the credit that every new account gets.">
          {(ids) => (
            <input {...ids} inputMode="decimal" value={creditUsd} onChange={(event) => setCreditUsd(event.target.value)} />
          )}
        </Field>
        <Problem error={create.error} />
        <button type="submit" className="primary" disabled={create.isPending}>
          Create
        </button>
      </form>
    </Dialog>
  );
}
