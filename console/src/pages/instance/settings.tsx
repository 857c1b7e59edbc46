import { useState } from 'react';
import { useMutation } from '@tanstack/react-query';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { duration } from '../../format.ts';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';

/** What can be changed of an instance itself. */
export function Settings({ instance }: { instance: Instance }) {
  const { instanceId } = instance;
  const [name, setName] = useState(instance.name);
  // The stream of instances brings the new name to every page.
  const rename = useMutation({ mutationFn: () => client.instances.update(instanceId, { name }) });
  return (
    <section>
      <form className="inline-form" onSubmit={submitted(() => rename.mutate())}>
        <Field label="Name">
          {(ids) => <input {...ids} required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <button type="submit" disabled={rename.isPending || name === instance.name}>
          Rename
        </button>
        <Problem error={rename.error} />
      </form>
      <Sleep instance={instance} />
      <Sample
        method="PATCH"
        path={`/instances/${instanceId}`}
        body={{ name: 'support', sleepAfterMs: 900_000 }}
        sdk={`await client.instances.update('${instanceId}', { name: 'support', sleepAfterMs: 900_000 });`}
      />
    </section>
  );
}

const MINUTE_MS = 60_000;
const SLEEPS = [
  [0, 'Never'],
  [MINUTE_MS, 'After a minute without a message'],
  [15 * MINUTE_MS, 'After 15 minutes'],
  [60 * MINUTE_MS, 'After an hour'],
  [24 * 60 * MINUTE_MS, 'After a day'],
] as const;

/** When it falls asleep. A time that a program has set is shown as it is. */
function Sleep({ instance: { instanceId, sleep } }: { instance: Instance }) {
  const afterMs = sleep?.afterMs ?? 0;
  const change = useMutation({
    mutationFn: (ms: number) => client.instances.update(instanceId, { sleepAfterMs: ms === 0 ? null : ms }),
  });
  const isListed = SLEEPS.some(([ms]) => ms === afterMs);
  return (
    <div className="inline-form">
      <Field
        label="It falls asleep"
        hint="Asleep it costs nothing. A message or a cron job that is due wakes it, which takes a moment."
      >
        {(ids) => (
          <select
            {...ids}
            value={change.isPending ? change.variables : afterMs}
            disabled={change.isPending}
            onChange={(event) => change.mutate(Number(event.target.value))}
          >
            {!isListed && <option value={afterMs}>After {duration(afterMs)}</option>}
            {SLEEPS.map(([ms, text]) => (
              <option key={ms} value={ms}>
                {text}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Problem error={change.error} />
    </div>
  );
}
