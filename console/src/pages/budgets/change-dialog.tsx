import { useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { Budget } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Problem } from '../../ui/problem.tsx';
import { submitted } from '../../ui/submitted.ts';
import { AmountField, NameField, WarnField } from './fields.tsx';

/** Renames a budget, or changes its limit or its warning; its scope and period stay. */
export function ChangeDialog({ budget, onClose }: { budget: Budget; onClose: () => void }) {
  const [name, setName] = useState(budget.name);
  const [limitUsd, setLimitUsd] = useState(budget.limitUsd);
  const [warnAt, setWarnAt] = useState(String(budget.warnAt));
  const cache = useQueryClient();
  const change = useMutation({
    mutationFn: () => client.budgets.update(budget.budgetId, { name, limitUsd, warnAt: Number(warnAt) }),
    onSuccess() {
      onClose();
      return cache.invalidateQueries({ queryKey: ['budgets'] });
    },
  });
  return (
    <Dialog title={`Change ${budget.name}`} onClose={onClose}>
      <form onSubmit={submitted(() => change.mutate())}>
        <NameField value={name} onChange={setName} />
        <AmountField value={limitUsd} onChange={setLimitUsd} />
        <WarnField value={warnAt} onChange={setWarnAt} />
        <Problem error={change.error} />
        <button type="submit" className="primary" disabled={change.isPending}>
          Save
        </button>
      </form>
    </Dialog>
  );
}
