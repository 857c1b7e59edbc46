import { useQuery } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { time } from '../../format.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';

const LINES = 1_000;
const AGAIN_MS = 5_000;

/** The last lines of the gateway. A log has no stream, so it is asked for again while it is looked at. */
export function Logs({ instanceId }: { instanceId: string }) {
  const { data, error } = useQuery({
    queryKey: ['instance', instanceId, 'logs'],
    queryFn: () => client.instances.logs(instanceId, { limit: LINES }),
    refetchInterval: AGAIN_MS,
  });
  return (
    <section>
      <p className="muted">What the gateway wrote, newest last. Secrets and tokens are masked.</p>
      <Problem error={error} />
      {data?.lines.length === 0 && <EmptyState title="The log is empty" />}
      <ol className="log" tabIndex={0} aria-label="Log of the gateway">
        {data?.lines.map(({ at, text }, place) => (
          // Lines have no id, and none changes its place.
          <li key={place}>
            <time>{at === null ? '' : time(at)}</time>
            <span>{text}</span>
          </li>
        ))}
      </ol>
      <Sample
        path={`/instances/${instanceId}/logs?limit=200`}
        sdk={`const { lines } = await client.instances.logs('${instanceId}');`}
      />
    </section>
  );
}
