import { useState } from 'react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { Instance, Usage as UsageAnswer } from '../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../client/client.ts';
import { usePages } from '../client/use-pages.ts';
import { bytes, count, duration, money, time } from '../format.ts';
import { Bars } from '../ui/bars.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Page } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sample } from '../ui/sample.tsx';
import { ShowMore } from '../ui/show-more.tsx';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 30;
const GROUPS = ['day', 'instance', 'agent', 'model'] as const;
type Group = (typeof GROUPS)[number];

/** What was used and what it cost, what is left and how long it lasts. */
export function Usage() {
  const [group, setGroup] = useState<Group>('day');
  return (
    <Page title="Usage">
      <Forecast />
      <div className="chips" role="group" aria-label="Group by">
        {GROUPS.map((one) => (
          <button key={one} type="button" aria-pressed={one === group} onClick={() => setGroup(one)}>
            By {one}
          </button>
        ))}
      </div>
      <Costs group={group} />
      <h2>Ledger</h2>
      <Ledger />
      <Sample
        path={`/billing/usage?groupBy=${group}`}
        sdk={`const { rows } = await client.billing.usage({ groupBy: '${group}' });`}
      />
    </Page>
  );
}

function Forecast() {
  const { data } = useQuery({ queryKey: ['forecast'], queryFn: () => client.billing.forecast() });
  const me = useQuery({ queryKey: ['me'], queryFn: () => client.auth.me(), staleTime: 60_000 });
  if (!data) return <div className="tiles" aria-busy="true" />;
  return (
    <dl className="tiles">
      <div>
        <dt>Balance</dt>
        <dd>{money(data.balanceNanoUsd)}</dd>
      </div>
      <div>
        <dt>Costs now</dt>
        <dd>
          {money(data.burnNanoUsdPerHour)} <small>per hour</small>
        </dd>
      </div>
      <div>
        <dt>Lasts</dt>
        <dd>{data.hoursLeft === null ? 'Nothing is charged' : duration(data.hoursLeft * HOUR_MS)}</dd>
      </div>
      <div>
        <dt>Stored</dt>
        <dd>
          {bytes(me.data?.storedBytes ?? 0)} <small>of {bytes(me.data?.maxStoredBytes ?? 0)}</small>
        </dd>
      </div>
    </dl>
  );
}

/** A day without use has no row; in the chart it is a day all the same. */
function daysOf({ rows, to }: UsageAnswer) {
  const known = new Map(rows.map(({ key, chargedNanoUsd }) => [key, chargedNanoUsd]));
  return Array.from({ length: DAYS }, (_, place) => {
    const key = new Date(new Date(to).getTime() - (DAYS - 1 - place) * DAY_MS).toISOString().slice(0, 10);
    return { key, chargedNanoUsd: known.get(key) ?? '0' };
  });
}

function Costs({ group }: { group: Group }) {
  const cache = useQueryClient();
  const { data, error } = useQuery({ queryKey: ['usage', group], queryFn: () => client.billing.usage({ groupBy: group }) });
  if (!data) return <Problem error={error} />;
  if (data.rows.length === 0)
    return (
      <EmptyState title="Nothing was used in the last 30 days">
        <p>Running time and model calls appear here within a minute.</p>
      </EmptyState>
    );
  const instances = cache.getQueryData<Instance[]>(['instances']) ?? [];
  const titleOf = (key: string) => instances.find(({ instanceId }) => instanceId === key)?.name ?? key;
  const bars = (group === 'day' ? daysOf(data) : data.rows).map(({ key, chargedNanoUsd }) => ({
    ...{ key, title: titleOf(key), value: Number(chargedNanoUsd), text: money(chargedNanoUsd) },
  }));
  return (
    <>
      <Bars bars={bars} label={`Cost by ${group} in the last 30 days`} />
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Usage">
        <table>
          <thead>
            <tr>
              <th scope="col">{group === 'day' ? 'Day (UTC)' : group[0]?.toUpperCase() + group.slice(1)}</th>
              {['Cost', 'Models', 'Running time', 'Messages', 'Tokens read', 'Tokens written'].map((title) => (
                <th key={title} scope="col" className="number">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {data.rows.toReversed().map((row) => (
              <tr key={row.key}>
                <th scope="row">{titleOf(row.key)}</th>
                <td className="number">{money(row.chargedNanoUsd)}</td>
                <td className="number">{money(row.tokensNanoUsd)}</td>
                <td className="number">{row.runtimeMs === 0 ? '' : duration(row.runtimeMs)}</td>
                <td className="number">{count(row.messages)}</td>
                <td className="number">{count(row.inputTokens)}</td>
                <td className="number">{count(row.outputTokens)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Ledger() {
  const ledger = usePages(['ledger'], (place) => client.billing.ledger({ limit: 50, ...place }).page());
  const entries = ledger.data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <>
      <Problem error={ledger.error} />
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Ledger">
        <table>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What</th>
              <th scope="col" className="number">
                Amount
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.map(({ entryId, at, kind, reason, instanceId, model, from, to, amountNanoUsd }) => (
              <tr key={entryId}>
                <td>{time(at)}</td>
                <td>
                  {reason ?? (model === null ? 'Running time' : `Calls of ${model}`)}{' '}
                  <span className="muted small">
                    {kind}
                    {instanceId !== null && `, ${instanceId}`}
                    {from !== null && to !== null && `, ${duration(new Date(to).getTime() - new Date(from).getTime())}`}
                  </span>
                </td>
                <td className="number">{money(amountNanoUsd)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ShowMore list={ledger} text="Show earlier lines" />
    </>
  );
}
