import type { IncomingMessage, ServerResponse } from 'node:http';
import { offersTo } from '../lib/settings/models.ts';
import { authenticate } from './authenticate.ts';
import { bearerOf } from './wires/wire.ts';
import type { RelayDeps } from './relay-deps.ts';

/** GET /v1/models: the models that agents of this account can have, in OpenAI's form. */
export async function listModels(deps: RelayDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const agent = await authenticate(deps, bearerOf(request));
  const accountId = agent === 'spare' ? '' : agent.accountId;
  const data = Object.keys(offersTo(deps.config.MODELS, accountId)).map((id) => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'platform',
  }));
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data }));
}
