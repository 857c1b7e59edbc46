import type { ServerResponse } from 'node:http';
import type { Log } from '../lib/log.ts';
import { RelayError } from './relay-error.ts';

/** Tells the caller what went wrong, in OpenAI's form; what an operator should know goes to the log. */
export function refuse(log: Log, response: ServerResponse, error: unknown): void {
  const known =
    error instanceof RelayError ? error : new RelayError(500, 'Unexpected error in the model relay.', { cause: error });
  const { status, message, type, code, retryAfterSeconds, cause } = known;
  // The message itself may quote a prompt, when it is the provider's.
  if (status >= 500 || response.headersSent) log.warn({ status, err: cause }, 'a model call failed');
  if (response.headersSent) {
    // An answer that was begun can only be cut: that is how its reader knows that it is not whole.
    response.destroy();
    return;
  }
  response
    .writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    })
    .end(JSON.stringify({ error: { message, type, ...(code === undefined ? {} : { code }) } }));
}
