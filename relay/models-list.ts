import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate } from './authenticate.ts';
import { bearerOf } from './wires/wire.ts';
import type { RelayDeps } from './relay-deps.ts';

/** GET /v1/models: the models that agents can have, in OpenAI's form. */
export async function listModels(deps: RelayDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await authenticate(deps, bearerOf(request));
  const data = Object.keys(deps.config.MODELS).map((id) => ({ id, object: 'model', created: 0, owned_by: 'platform' }));
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data }));
}
