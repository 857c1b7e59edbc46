import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Budget } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { fromNow, money } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Page } from '../../ui/page.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { ChangeDialog } from './change-dialog.tsx';
import { CreateDialog } from './create-dialog.tsx';
import { scopeText, useScopeNames } from './scope.ts';
import { Spend } from './spend.tsx';

const PERIODS = { day: 'each day', month: 'each month', total: 'in total' };

/** Caps on what is spent: by the account, or by a part of it. */
export function Budgets() {
  const [isCreating, setIsCreating] = useState(false);
  const { data, error } = useQuery({
    queryKey: ['budgets'],
    queryFn: () => Array.fromAsync(client.budgets.list({ limit: 100 })),
  });
  return (
    <Page
      title="Budgets"
      actions={
        <button type="button" className="primary" onClick={() => setIsCreating(true)}>
          Create a budget
        </button>
      }
    >
      <p className="muted">
        A message that a budget has no room for is refused before it costs anything, and an instance whose running time it counts
        is stopped at the limit.
      </p>
      <Problem error={error} />
      {data?.length === 0 && (
        <EmptyState title="You have no budgets">
          <p>A budget can cap the whole account, an instance, an agent, a key, or each of your end users separately.</p>
        </EmptyState>
      )}
      <ul className="rows">
        {data?.map((budget) => (
          <li key={budget.budgetId}>
            <Row budget={budget} />
          </li>
        ))}
      </ul>
      {isCreating && <CreateDialog onClose={() => setIsCreating(false)} />}
      <Sample
        method="POST"
        path="/budgets"
        body={{ name: 'each end user', scope: { senderId: '*' }, period: 'day', limitUsd: '1.00' }}
        sdk={"await client.budgets.create({ name: 'each end user', scope: { senderId: '*' }, period: 'day', limitUsd: '1.00' });"}
      />
    </Page>
  );
}

function Row({ budget }: { budget: Budget }) {
  const [isChanging, setIsChanging] = useState(false);
  const cache = useQueryClient();
  const names = useScopeNames();
  const { budgetId, name, scope, period, limitNanoUsd, spentNanoUsd, resetsAt } = budget;
  const remove = useMutation({
    mutationFn: () => client.budgets.delete(budgetId),
    onSuccess() {
      cache.removeQueries({ queryKey: ['budgets', budgetId] });
      return cache.invalidateQueries({ queryKey: ['budgets'] });
    },
  });
  const ask = () => {
    if (confirm(`Delete the budget ${name}? Nothing limits this spending then.`)) remove.mutate();
  };
  const isEach = Object.values(scope).includes('*');
  return (
    <>
      <div className="budget">
        <strong>{name}</strong>
        <span className="muted small">
          {scopeText(scope, names)}, {PERIODS[period]}
          {resetsAt !== null && `; begins anew ${fromNow(resetsAt)}`}
        </span>
        <span>
          {money(spentNanoUsd)} {isEach ? 'spent by all together, with a limit of' : 'of'} {money(limitNanoUsd)}
          {isEach && ' for each'}
        </span>
        {!isEach && <Spent budget={budget} />}
        {isEach && <Spend budget={budget} />}
        <Problem error={remove.error} />
      </div>
      <span className="actions">
        <button type="button" onClick={() => setIsChanging(true)}>
          Change
        </button>
        <button type="button" className="danger" disabled={remove.isPending} onClick={ask}>
          Delete
        </button>
      </span>
      {isChanging && <ChangeDialog budget={budget} onClose={() => setIsChanging(false)} />}
    </>
  );
}

function Spent({ budget: { name, limitNanoUsd, spentNanoUsd, warnAt } }: { budget: Budget }) {
  const share = Math.min(1, Number(spentNanoUsd) / Number(limitNanoUsd));
  const state = share >= 1 ? 'used up' : share * 100 >= warnAt ? 'nearly used up' : 'has room';
  return (
    <span className="spent">
      <meter min={0} max={1} high={warnAt / 100} optimum={0} value={share} aria-label={`Spent of ${name}`} />
      <span className="muted small">{state}</span>
    </span>
  );
}
