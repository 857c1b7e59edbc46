import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { saveAs } from '../client/browser-files.ts';
import { client } from '../client/client.ts';
import { bytes, money } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import { Field } from '../ui/field.tsx';
import { Page } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sample } from '../ui/sample.tsx';
import { submitted } from '../ui/submitted.ts';

/** The account itself: who it is, all of its data to take along, and its end. */
export function AccountPage() {
  const { data: me, error } = useQuery({ queryKey: ['me'], queryFn: () => client.auth.me(), staleTime: 60_000 });
  const [isDeleting, setIsDeleting] = useState(false);
  const download = useMutation({
    mutationFn: async () => saveAs(await (await client.account.export()).blob(), 'thermidora-account.tar.gz'),
  });
  if (!me) return error ? <Problem error={error} /> : <p className="loading">Loading the account</p>;
  return (
    <Page title="Account">
      <dl className="facts">
        <dt>Name</dt>
        <dd>{me.name}</dd>
        <dt>Email</dt>
        <dd>{me.email}</dd>
        <dt>Id</dt>
        <dd className="id">{me.accountId}</dd>
        <dt>Balance</dt>
        <dd>{money(me.balanceNanoUsd)}</dd>
        <dt>Stored</dt>
        <dd>
          {bytes(me.storedBytes)} of {bytes(me.maxStoredBytes)}
        </dd>
      </dl>
      <h2>Your data</h2>
      <p className="muted">
        One archive with everything of your account: instances, agents with their files, messages, events, ledger. It has the
        names of secrets but no values, and no keys.
      </p>
      <div className="actions">
        <button type="button" disabled={download.isPending} onClick={() => download.mutate()}>
          {download.isPending ? 'Collecting your data' : 'Download everything'}
        </button>
      </div>
      <Problem error={download.error} />
      <h2>Delete the account</h2>
      <p className="muted">
        Everything in it is deleted at once and cannot be brought back; what is left of the balance is lost.
      </p>
      <div className="actions">
        <button type="button" className="danger" onClick={() => setIsDeleting(true)}>
          Delete the account
        </button>
      </div>
      {isDeleting && <DeleteDialog email={me.email} onClose={() => setIsDeleting(false)} />}
      <Sample path="/account/export" sdk="const archive = await client.account.export();" />
    </Page>
  );
}

/** Asks for a code by mail, and deletes with it. */
function DeleteDialog({ email, onClose }: { email: string; onClose: () => void }) {
  const [code, setCode] = useState('');
  const cache = useQueryClient();
  const ask = useMutation({ mutationFn: () => client.auth.login({ email }) });
  const remove = useMutation({
    mutationFn: () => client.account.delete({ code }),
    onSuccess() {
      cache.setQueryData(['me'], null);
      cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'me' });
    },
  });
  if (!ask.isSuccess)
    return (
      <Dialog title="Delete the account?" onClose={onClose}>
        <p>
          All instances with their agents, conversations, files and secrets, all keys, webhooks and budgets are deleted at once.
          We send a code to {email} first.
        </p>
        <Problem error={ask.error} />
        <button type="button" disabled={ask.isPending} onClick={() => ask.mutate()}>
          Send the code
        </button>
      </Dialog>
    );
  return (
    <Dialog title="Delete the account?" onClose={onClose}>
      <form onSubmit={submitted(() => remove.mutate())}>
        <Field label="Code" hint={`It was sent to ${email} and is valid for ten minutes.`}>
          {(ids) => (
            <input
              {...ids}
              autoFocus
              required
              inputMode="numeric"
              autoComplete="one-time-code"
              value={code}
              onChange={(event) => setCode(event.target.value)}
            />
          )}
        </Field>
        <Problem error={remove.error} />
        <button type="submit" className="danger" disabled={remove.isPending}>
          Delete everything
        </button>
      </form>
    </Dialog>
  );
}
