import { CopyButton } from './copy-button.tsx';

interface SampleProps {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below /v1. */
  path: string;
  body?: object;
  /** The line of the TypeScript client. */
  sdk: string;
  /** The call takes the operator token, which the console never has. */
  isOfOperator?: boolean;
}

/** How a program does what this page does. */
export function Sample({ method = 'GET', path, body, sdk, isOfOperator = false }: SampleProps) {
  const json = body ? ` -H 'content-type: application/json' \\\n  -d '${JSON.stringify(body)}'` : '';
  const verb = method === 'GET' || (method === 'POST' && body) ? '' : ` -X ${method}`;
  const credential = isOfOperator ? 'authorization: Bearer $OPERATOR_TOKEN' : 'x-api-key: $API_KEY';
  const curl = `curl -s${verb} '${globalThis.location.origin}/v1${path}' -H "${credential}"${json}`;
  return (
    <details className="sample">
      <summary>Do this from a program</summary>
      <Snippet title="curl" text={curl} />
      <Snippet title="TypeScript" text={sdk} />
    </details>
  );
}

function Snippet({ title, text }: { title: string; text: string }) {
  return (
    <div className="snippet">
      <div className="snippet-head">
        <span className="muted small">{title}</span>
        <CopyButton text={text} what={`the ${title} line`} />
      </div>
      <pre tabIndex={0} aria-label={`${title} line`}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
