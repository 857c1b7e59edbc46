import { useState } from 'react';
import { client } from '../../client/client.ts';
import { usePages } from '../../client/use-pages.ts';
import { time } from '../../format.ts';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';
import { ShowMore } from '../../ui/show-more.tsx';

function queryOf(id: string) {
  if (id === '') return {};
  return id.startsWith('inst_') ? { instanceId: id } : { accountId: id };
}

/** Who changed what, newest first. */
export function Audit() {
  const [typed, setTyped] = useState('');
  const [wanted, setWanted] = useState('');
  const audit = usePages(['operator', 'audit', wanted], (place) =>
    client.operator.audit.list({ ...queryOf(wanted), limit: 50, ...place }).page(),
  );
  return (
    <section>
      <form className="inline-form" onSubmit={submitted(() => setWanted(typed.trim()))}>
        <Field label="Of" hint="The id of an account or an instance; empty for all.">
          {(ids) => <input {...ids} value={typed} onChange={(event) => setTyped(event.target.value)} />}
        </Field>
        <button type="submit">Find</button>
      </form>
      <Problem error={audit.error} />
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Audit">
        <table>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Action</th>
              <th scope="col">By</th>
              <th scope="col">Of</th>
              <th scope="col">From</th>
            </tr>
          </thead>
          <tbody>
            {audit.data?.pages.flatMap((page) =>
              page.entries.map(({ auditId, at, action, actor, target, address }) => (
                <tr key={auditId}>
                  <td>{time(at)}</td>
                  <td>{action}</td>
                  <td>
                    <code>{actor}</code>
                  </td>
                  <td>
                    <code>{target}</code>
                  </td>
                  <td>{address}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
      <ShowMore list={audit} text="Show earlier lines" />
      <Sample
        isOfOperator
        path="/admin/audit?limit=50"
        sdk="for await (const line of client.operator.audit.list()) console.log(line);"
      />
    </section>
  );
}
