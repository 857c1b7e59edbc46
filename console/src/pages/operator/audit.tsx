import { useInfiniteQuery } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { time } from '../../format.ts';
import { Problem } from '../../ui/problem.tsx';

/** Who changed what, newest first. */
export function Audit() {
  const audit = useInfiniteQuery({
    queryKey: ['operator', 'audit'],
    queryFn: ({ pageParam }) => client.operator.audit.list({ limit: 50, ...(pageParam && { cursor: pageParam }) }).page(),
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor,
  });
  return (
    <section>
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
      {audit.hasNextPage && (
        <button type="button" onClick={() => void audit.fetchNextPage()}>
          Show earlier lines
        </button>
      )}
    </section>
  );
}
