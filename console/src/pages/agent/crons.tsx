import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Cron } from '../../../../sdk/typescript/src/generated/resources.ts';
import { client } from '../../client/client.ts';
import { duration, fromNow, time } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Field } from '../../ui/field.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { submitted } from '../../ui/submitted.ts';
import type { AgentPlace } from './agent-page.tsx';

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const DAILY = { kind: 'cron', expr: '0 9 * * 1-5', timeZone: ZONE } as const;

/** What the agent does by the clock, with next runs in the reader's time zone. */
export function Crons({ instanceId, agentId, isReady }: AgentPlace & { isReady: boolean }) {
  const cache = useQueryClient();
  const queryKey = ['said', instanceId, agentId, 'crons'];
  const again = () => cache.invalidateQueries({ queryKey });
  const { data, error } = useQuery({
    queryKey,
    queryFn: () => Array.fromAsync(client.crons.list(instanceId, agentId, { limit: 100 })),
  });
  const change = useMutation({
    mutationFn: async ({ cron, what }: { cron: Cron; what: 'run' | 'toggle' | 'delete' }) => {
      if (what === 'run') await client.crons.run(instanceId, agentId, cron.cronId);
      else if (what === 'delete') await client.crons.delete(instanceId, agentId, cron.cronId);
      else await client.crons.update(instanceId, agentId, cron.cronId, { enabled: !cron.enabled });
    },
    onSuccess: again,
  });
  return (
    <section>
      <p className="muted">
        Times are in your time zone, {ZONE}.{isReady ? '' : ' Jobs can be changed while the instance runs.'}
      </p>
      <Problem error={error ?? change.error} />
      {data?.length === 0 && (
        <EmptyState title="This agent has no cron jobs">
          <p>You can make one below. The agent can make its own, too, when you ask it in the chat.</p>
        </EmptyState>
      )}
      <ul className="rows">
        {data?.map((cron) => (
          <li key={cron.cronId}>
            <Facts cron={cron} />
            <span className="actions">
              <button type="button" disabled={!isReady} onClick={() => change.mutate({ cron, what: 'run' })}>
                Run now
              </button>
              <button type="button" disabled={!isReady} onClick={() => change.mutate({ cron, what: 'toggle' })}>
                {cron.enabled ? 'Pause' : 'Go on'}
              </button>
              <button
                type="button"
                className="danger"
                disabled={!isReady}
                onClick={() => change.mutate({ cron, what: 'delete' })}
              >
                Delete
              </button>
            </span>
          </li>
        ))}
      </ul>
      <Create instanceId={instanceId} agentId={agentId} isReady={isReady} onCreated={again} />
      <Sample
        method="POST"
        path={`/instances/${instanceId}/agents/${agentId}/crons`}
        body={{ name: 'morning', schedule: DAILY, message: 'What is new?' }}
        sdk={`await client.crons.create('${instanceId}', '${agentId}', { name: 'morning', schedule: ${JSON.stringify(DAILY)}, message: 'What is new?' });`}
      />
    </section>
  );
}

function Facts({ cron }: { cron: Cron }) {
  const { name, message, schedule, nextRunAt, lastRun, createdBy } = cron;
  return (
    <span>
      <strong>{name}</strong>{' '}
      <span className="muted small">
        {scheduleOf(schedule)}
        {createdBy === 'agent' && ', made by the agent'}
      </span>
      <span className="block clip">{message}</span>
      <span className="muted small block">
        {nextRunAt === null ? 'No run is planned.' : `Next run ${time(nextRunAt)}, ${fromNow(nextRunAt)}.`}
        {lastRun && ` Last run ${fromNow(lastRun.at)}: ${lastRun.status === 'ok' ? 'it worked' : 'it failed'}.`}
      </span>
    </span>
  );
}

function scheduleOf(schedule: Cron['schedule']): string {
  if (schedule.kind === 'cron') return `${schedule.expr} (${schedule.timeZone})`;
  if (schedule.kind === 'every') return `every ${duration(schedule.everyMs)}`;
  return schedule.kind === 'at' ? `once, ${time(schedule.at)}` : 'a schedule that only the agent can change';
}

function Create({ instanceId, agentId, isReady, onCreated }: AgentPlace & { isReady: boolean; onCreated: () => unknown }) {
  const [given, setGiven] = useState({ name: '', expr: '0 9 * * 1-5', message: '' });
  const create = useMutation({
    mutationFn: () => {
      const { name, expr, message } = given;
      return client.crons.create(instanceId, agentId, { name, message, schedule: { kind: 'cron', expr, timeZone: ZONE } });
    },
    onSuccess: onCreated,
  });
  const input = (name: keyof typeof given) => (ids: object) => (
    <input {...ids} required value={given[name]} onChange={(event) => setGiven({ ...given, [name]: event.target.value })} />
  );
  return (
    <form className="inline-form" onSubmit={submitted(() => create.mutate())}>
      <Field label="Name">{input('name')}</Field>
      <Field label="When" hint="Minute, hour, day, month, weekday">
        {input('expr')}
      </Field>
      <Field label="What to tell the agent">{input('message')}</Field>
      <button type="submit" disabled={!isReady || create.isPending}>
        Create
      </button>
      <Problem error={create.error} />
    </form>
  );
}
