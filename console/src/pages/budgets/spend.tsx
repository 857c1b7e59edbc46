import { useState } from 'react';
import type { Budget } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { usePages } from '../../client/use-pages.ts';
import { money } from '../../format.ts';
import { Problem } from '../../ui/problem.tsx';
import { ShowMore } from '../../ui/show-more.tsx';
import { useScopeNames } from './scope.ts';

/** What each end user, instance or other key of a budget has spent. */
export function Spend({ budget: { budgetId, name, limitNanoUsd } }: { budget: Budget }) {
  const [isOpen, setIsOpen] = useState(false);
  const names = useScopeNames();
  const spend = usePages(
    ['budgets', budgetId, 'spend'],
    (place) => client.budgets.spend(budgetId, { limit: 50, ...place }).page(),
    { enabled: isOpen },
  );
  const keys = spend.data?.pages.flatMap((page) => page.keys);
  return (
    <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary className="small">Spending by key</summary>
      <Problem error={spend.error} />
      {keys?.length === 0 && <p className="muted small">Nothing was spent in this period.</p>}
      <ul className="spend">
        {keys?.map(({ key, spentNanoUsd }) => (
          <li key={key}>
            <span className="clip" title={key}>
              {names.get(key) ?? key}
            </span>
            <meter
              min={0}
              max={1}
              value={Number(spentNanoUsd) / Number(limitNanoUsd)}
              aria-label={`Spent of ${name} by ${key}`}
            />
            <span className="number">{money(spentNanoUsd)}</span>
          </li>
        ))}
      </ul>
      <ShowMore list={spend} className="quiet small" />
    </details>
  );
}
