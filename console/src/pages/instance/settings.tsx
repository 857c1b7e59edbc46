import { useState } from 'react';
import { useMutation } from '@tanstack/react-query';
import type { Instance } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
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
      <Sample
        method="PATCH"
        path={`/instances/${instanceId}`}
        body={{ name: 'support' }}
        sdk={`await client.instances.update('${instanceId}', { name: 'support' });`}
      />
    </section>
  );
}
