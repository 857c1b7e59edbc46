import { ApiError } from '../../../sdk/typescript/src/errors.ts';

/** Why something did not work, what to change, and what to quote to support. */
export function Problem({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  const details = error instanceof ApiError ? error.details : [];
  const requestId = error instanceof ApiError ? error.requestId : undefined;
  return (
    <div className="problem" role="alert">
      <p>{error instanceof Error ? error.message : 'Something went wrong. Try again.'}</p>
      {/* The message has the first one in it. */}
      {details.length > 1 && (
        <ul>
          {details.map(({ path, message }) => (
            <li key={path}>
              <code>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      {requestId !== undefined && <p className="muted small">Request {requestId}</p>}
    </div>
  );
}
