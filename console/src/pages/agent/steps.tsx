import type { Step } from '../../../../sdk/typescript/src/generated/resources.ts';
import { duration } from '../../format.ts';

/** What the agent does during a turn, each step with what went in and came out. */
export function Steps({ steps }: { steps: readonly Step[] }) {
  if (steps.length === 0) return null;
  return (
    <ul className="steps">
      {steps.map(({ stepId, name, startedAt, endedAt, isError, input, output }) => (
        <li key={stepId}>
          <details>
            <summary>
              {name}{' '}
              <span className="muted small">
                {endedAt === null ? 'running' : duration(new Date(endedAt).getTime() - new Date(startedAt).getTime())}
                {isError && ', failed'}
              </span>
            </summary>
            <pre tabIndex={0}>{JSON.stringify({ input, output }, null, 2)}</pre>
          </details>
        </li>
      ))}
    </ul>
  );
}
