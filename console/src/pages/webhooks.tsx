import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { client } from '../client/client.ts';
import { time } from '../format.ts';
import { EmptyState } from '../ui/empty-state.tsx';
import { Field } from '../ui/field.tsx';
import { Page } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sample } from '../ui/sample.tsx';
import { submitted } from '../ui/submitted.ts';
import { WebhookPage } from './webhook-page.tsx';

/** The endpoints that get events, or one of them. */
export function Webhooks({ webhookId }: { webhookId: string | null }) {
  return webhookId === null ? <All /> : <WebhookPage key={webhookId} webhookId={webhookId} />;
}

function All() {
  const cache = useQueryClient();
  const { data, error } = useQuery({
    queryKey: ['webhooks'],
    queryFn: () => Array.fromAsync(client.webhooks.list({ limit: 100 })),
  });
  return (
    <Page title="Webhooks">
      <p className="muted">Events are sent to these addresses, signed, and tried again for three days until one is taken.</p>
      <Problem error={error} />
      {data?.length === 0 && (
        <EmptyState title="No events are sent anywhere">
          <p>Give the address of your receiver below. You can send it a test at once.</p>
        </EmptyState>
      )}
      <ul className="rows">
        {data?.map(({ webhookId, url, events, enabled, failingSince, disabledReason }) => (
          <li key={webhookId}>
            <span>
              <Link href={`/webhooks/${webhookId}`}>{url}</Link>
              <span className="muted small block">
                {events.join(', ')}
                {!enabled && `; disabled${disabledReason === null ? '' : ` because it is ${disabledReason}`}`}
                {failingSince !== null && `; failing since ${time(failingSince)}`}
              </span>
            </span>
          </li>
        ))}
      </ul>
      <Create onCreated={() => cache.invalidateQueries({ queryKey: ['webhooks'] })} />
      <Sample
        method="POST"
        path="/webhooks"
        body={{ url: 'https://example.com/webhook', events: ['*'] }}
        sdk={"const { secret } = await client.webhooks.create({ url: 'https://example.com/webhook', events: ['*'] });"}
      />
    </Page>
  );
}

function Create({ onCreated }: { onCreated: () => unknown }) {
  const [url, setUrl] = useState('');
  const create = useMutation({
    mutationFn: () => client.webhooks.create({ url, events: ['*'] }),
    onSuccess() {
      setUrl('');
      return onCreated();
    },
  });
  return (
    <form className="inline-form" onSubmit={submitted(() => create.mutate())}>
      <Field label="URL" hint="It gets results of cron jobs, messages and errors of all agents.">
        {(ids) => <input {...ids} type="url" required value={url} onChange={(event) => setUrl(event.target.value)} />}
      </Field>
      <button type="submit" disabled={create.isPending}>
        Create
      </button>
      <Problem error={create.error} />
    </form>
  );
}
