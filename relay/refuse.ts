import type { ServerResponse } from 'node:http';
import type { Log } from '../lib/log.ts';
import { RelayError } from './relay-error.ts';
import { openAiWire } from './wires/openai.ts';
import type { Wire } from './wires/wire.ts';

/** Tells the caller what went wrong, in the form of its wire; what an operator should know goes to the log. */
export function refuse(log: Log, response: ServerResponse, error: unknown, wire: Wire = openAiWire): void {
  const known =
    error instanceof RelayError ? error : new RelayError(500, 'Unexpected error in the model relay.', { cause: error });
  const { status, retryAfterSeconds, cause } = known;
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
    .end(JSON.stringify(wire.errorBody(known)));
}
