import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { FeedEvent } from '../client/live.ts';
import { time } from '../format.ts';
import { EmptyState } from '../ui/empty-state.tsx';
import { Page } from '../ui/page.tsx';
import { Sample } from '../ui/sample.tsx';

const KINDS = ['all', 'cron.completed', 'agent.message', 'agent.error', 'notices'] as const;
type Kind = (typeof KINDS)[number];

function isOfKind({ eventType }: FeedEvent, kind: Kind): boolean {
  if (kind === 'all') return true;
  return kind === 'notices' ? !KINDS.some((one) => one === eventType) : eventType === kind;
}

/** The events of the account as they happen, newest first. */
export function Events() {
  const [kind, setKind] = useState<Kind>('all');
  // The stream fills it.
  const { data: events } = useQuery<FeedEvent[]>({ queryKey: ['events'], enabled: false });
  const shown = events?.filter((event) => isOfKind(event, kind)) ?? [];
  return (
    <Page title="Events">
      <p className="muted">Results of cron jobs, messages that agents send, errors and notices. New ones appear by themselves.</p>
      <div className="chips" role="group" aria-label="Kind">
        {KINDS.map((one) => (
          <button key={one} type="button" aria-pressed={one === kind} onClick={() => setKind(one)}>
            {one}
          </button>
        ))}
      </div>
      {events !== undefined && shown.length === 0 && (
        <EmptyState title="No events yet">
          <p>They are kept for 30 days. Make a cron job or send a message, and watch this page.</p>
        </EmptyState>
      )}
      <ol className="rows long" aria-live="polite">
        {shown.map((event) => (
          <li key={event.seq}>
            <Event event={event} />
          </li>
        ))}
      </ol>
      <Sample
        path="/events/stream"
        sdk={'for await (const event of client.events.stream({ after: last })) console.log(event);'}
      />
    </Page>
  );
}

function Event({ event }: { event: FeedEvent }) {
  if ('deleted' in event) return <span className="muted">An event of a deleted instance ({event.eventType})</span>;
  const { eventType, createdAt, agentSlug, jobName, content, error, data, instanceId, seq } = event;
  return (
    <details className="event">
      <summary>
        <span className={`tag ${error ? 'tag-bad' : ''}`}>{eventType}</span>{' '}
        <span className="muted small">{time(createdAt)}</span> {agentSlug !== null && <strong>{agentSlug}</strong>} {jobName}
        <span className="clip block">{error?.message ?? (content || (data && JSON.stringify(data)))}</span>
      </summary>
      <p className="plain">{content}</p>
      <p className="muted small">
        Event {seq}
        {instanceId !== null && ` of ${instanceId}`}
        {error && `, code ${error.code}`}
      </p>
    </details>
  );
}
