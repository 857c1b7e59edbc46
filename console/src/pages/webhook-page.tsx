import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useLocation } from 'wouter';
import type { Delivery, Webhook } from '../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../client/client.ts';
import { duration, fromNow, time } from '../format.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Page } from '../ui/page.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sample } from '../ui/sample.tsx';

const AGAIN_MS = 5_000;

/** One endpoint: what was sent to it, what it answered, and sending again. */
export function WebhookPage({ webhookId }: { webhookId: string }) {
  const queryKey = ['webhooks', webhookId];
  const webhook = useQuery({ queryKey, queryFn: () => client.webhooks.get(webhookId) });
  const deliveries = useQuery({
    queryKey: [...queryKey, 'deliveries'],
    queryFn: () => client.webhooks.deliveries.list(webhookId, { limit: 50 }).page(),
    // Deliveries have no stream, so they are asked for again while they are looked at.
    refetchInterval: AGAIN_MS,
  });
  if (!webhook.data) return webhook.error ? <Problem error={webhook.error} /> : <p className="loading">Loading the webhook</p>;
  return (
    <Page title="Webhook" above={['/webhooks', 'Webhooks']} actions={<Actions webhook={webhook.data} />}>
      <p className="id">{webhook.data.url}</p>
      <Secret secret={webhook.data.secret} />
      <h2>Deliveries</h2>
      <Problem error={deliveries.error} />
      {deliveries.data?.deliveries.length === 0 && (
        <EmptyState title="Nothing was sent yet">
          <p>Send a test to see whether your receiver takes it.</p>
        </EmptyState>
      )}
      <ul className="rows">
        {deliveries.data?.deliveries.map((delivery) => (
          <li key={delivery.deliveryId}>
            <OneDelivery webhookId={webhookId} delivery={delivery} />
          </li>
        ))}
      </ul>
      <Sample method="POST" path={`/webhooks/${webhookId}/test`} sdk={`await client.webhooks.test('${webhookId}');`} />
    </Page>
  );
}

function Secret({ secret }: { secret: string }) {
  const [isShown, setIsShown] = useState(false);
  return (
    <p className="secret">
      <span className="muted">Signing secret</span> <code>{isShown ? secret : 'whsec_••••••••'}</code>
      <button type="button" className="quiet small" onClick={() => setIsShown(!isShown)}>
        {isShown ? 'Hide' : 'Show'}
      </button>
      <CopyButton text={secret} what="the signing secret" />
    </p>
  );
}

function Actions({ webhook: { webhookId, enabled } }: { webhook: Webhook }) {
  const cache = useQueryClient();
  const [, navigate] = useLocation();
  const change = useMutation({
    mutationFn: async (what: 'test' | 'toggle' | 'delete') => {
      if (what === 'test') await client.webhooks.test(webhookId);
      else if (what === 'toggle') await client.webhooks.update(webhookId, { enabled: !enabled });
      else await client.webhooks.delete(webhookId);
    },
    onSuccess(_nothing, what) {
      if (what === 'delete') navigate('/webhooks');
      return cache.invalidateQueries({ queryKey: ['webhooks'] });
    },
  });
  return (
    <>
      <button type="button" className="primary" disabled={change.isPending} onClick={() => change.mutate('test')}>
        Send a test
      </button>
      <button type="button" disabled={change.isPending} onClick={() => change.mutate('toggle')}>
        {enabled ? 'Disable' : 'Enable'}
      </button>
      <button type="button" className="danger" disabled={change.isPending} onClick={() => change.mutate('delete')}>
        Delete
      </button>
      <Problem error={change.error} />
    </>
  );
}

const STATES = { pending: 'on its way', succeeded: 'taken', failed: 'given up' };

function OneDelivery({ webhookId, delivery }: { webhookId: string; delivery: Delivery }) {
  const { deliveryId, eventType, status, attempts, nextAttemptAt, createdAt } = delivery;
  const [isOpen, setIsOpen] = useState(false);
  const cache = useQueryClient();
  const again = useMutation({
    mutationFn: () => client.webhooks.deliveries.redeliver(webhookId, deliveryId),
    onSuccess: () => cache.invalidateQueries({ queryKey: ['webhooks', webhookId] }),
  });
  return (
    <details className="event" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>
        <span className={`tag ${status === 'failed' ? 'tag-bad' : ''}`}>{STATES[status]}</span> <strong>{eventType}</strong>{' '}
        <span className="muted small">
          {time(createdAt)}, {attempts.length} {attempts.length === 1 ? 'attempt' : 'attempts'}
          {nextAttemptAt !== null && `, next ${fromNow(nextAttemptAt)}`}
        </span>
      </summary>
      <ol className="attempts">
        {attempts.map(({ at, statusCode, durationMs, error, response }) => (
          <li key={at}>
            {time(at)}: {statusCode ?? 'no answer'} in {duration(durationMs)}{' '}
            {error !== null && <span className="bad">{error}</span>}
            {response !== null && response !== '' && <pre tabIndex={0}>{response}</pre>}
          </li>
        ))}
      </ol>
      {isOpen && <Body webhookId={webhookId} deliveryId={deliveryId} />}
      <button type="button" disabled={again.isPending} onClick={() => again.mutate()}>
        Send it again
      </button>
      <Problem error={again.error} />
    </details>
  );
}

/** The text that is sent, as it is signed: not made prettier, because a receiver verifies these bytes. */
function Body({ webhookId, deliveryId }: { webhookId: string; deliveryId: string }) {
  const { data, error } = useQuery({
    queryKey: ['delivery', deliveryId],
    queryFn: () => client.webhooks.deliveries.get(webhookId, deliveryId),
    staleTime: Infinity,
  });
  if (!data) return <Problem error={error} />;
  return (
    <div className="snippet">
      <div className="snippet-head">
        <span className="muted small">Body</span>
        <CopyButton text={data.body} what="the body" />
      </div>
      <pre className="body" tabIndex={0} aria-label="Body">
        {data.body}
      </pre>
    </div>
  );
}
