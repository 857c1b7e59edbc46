import { useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { UnownedRuntime } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { usePages } from '../../client/use-pages.ts';
import { fromNow, time } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';
import { ShowMore } from '../../ui/show-more.tsx';

const STATES = { quarantined: 'in quarantine', left: 'left as it was', deleting: 'is being deleted' };

/** Gateways and storage that no instance owns: to be given to an account again, or deleted. */
export function Quarantine() {
  const list = usePages(['operator', 'quarantine'], (place) => client.operator.quarantine.list({ limit: 50, ...place }).page());
  const runtimes = list.data?.pages.flatMap((page) => page.runtimes);
  return (
    <section>
      <p className="muted">
        Storage that no instance owns, after a restore of the database for instance. It is kept until you decide, or until its
        time is over.
      </p>
      <Problem error={list.error} />
      {runtimes?.length === 0 && <EmptyState title="All storage has an owner" />}
      <ul className="rows">
        {runtimes?.map((runtime) => (
          <Row key={runtime.runtimeId} runtime={runtime} />
        ))}
      </ul>
      <ShowMore list={list} />
      <Sample
        isOfOperator
        path="/admin/quarantine"
        sdk="for await (const runtime of client.operator.quarantine.list()) console.log(runtime);"
      />
    </section>
  );
}

function Row({ runtime }: { runtime: UnownedRuntime }) {
  const { runtimeId, state, foundAt, deletedAfter } = runtime;
  const [isRestoring, setIsRestoring] = useState(false);
  const cache = useQueryClient();
  const again = () => cache.invalidateQueries({ queryKey: ['operator', 'quarantine'] });
  const remove = useMutation({ mutationFn: () => client.operator.quarantine.delete(runtimeId), onSuccess: again });
  const ask = () => {
    if (confirm(`Delete the storage of ${runtimeId}? It cannot be brought back.`)) remove.mutate();
  };
  return (
    <li>
      <span>
        <code>{runtimeId}</code> <span className="tag">{STATES[state]}</span>
        <span className="muted small block">
          Found {time(foundAt)}
          {deletedAfter !== null && `, deleted ${fromNow(deletedAfter)}`}
        </span>
        <Problem error={remove.error} />
      </span>
      {state !== 'deleting' && (
        <span className="actions">
          <button type="button" onClick={() => setIsRestoring(true)}>
            Give to an account
          </button>
          <button type="button" className="danger" disabled={remove.isPending} onClick={ask}>
            Delete
          </button>
        </span>
      )}
      {isRestoring && <RestoreDialog runtimeId={runtimeId} onRestored={again} onClose={() => setIsRestoring(false)} />}
    </li>
  );
}

interface RestoreDialogProps {
  runtimeId: string;
  onRestored: () => unknown;
  onClose: () => void;
}

function RestoreDialog({ runtimeId, onRestored, onClose }: RestoreDialogProps) {
  const [accountId, setAccountId] = useState('');
  const [name, setName] = useState('restored');
  const restore = useMutation({
    mutationFn: () => client.operator.quarantine.restore(runtimeId, { accountId, name }),
    onSuccess() {
      onClose();
      return onRestored();
    },
  });
  return (
    <Dialog title="Give to an account" onClose={onClose}>
      <form onSubmit={submitted(() => restore.mutate())}>
        <p className="muted">It becomes a stopped instance of the account, without agents; their files are in its storage.</p>
        <Field label="Account" hint="Its id, acc_...">
          {(ids) => (
            <input {...ids} autoFocus required value={accountId} onChange={(event) => setAccountId(event.target.value.trim())} />
          )}
        </Field>
        <Field label="Name of the instance">
          {(ids) => <input {...ids} required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <Problem error={restore.error} />
        <button type="submit" className="primary" disabled={restore.isPending}>
          Restore
        </button>
      </form>
    </Dialog>
  );
}
