import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Background } from '../lib/async/background.ts';
import { remembered } from '../lib/async/remembered.ts';
import { completeChat } from './chat-completions.ts';
import { listModels } from './models-list.ts';
import type { RelayDeps } from './relay-deps.ts';
import { refuse } from './refuse.ts';
import { RelayError } from './relay-error.ts';
import { anthropicWire } from './wires/anthropic.ts';
import { openAiWire } from './wires/openai.ts';

/** Whatever runs in an instance may ask for readiness, as often as it likes. */
const REMEMBERED_MS = 1_000;

/** Answers the relay's requests. Each counts as a background task, so that a drain can wait for what it writes last. */
export function createRelayListener(deps: RelayDeps, background: Background, draining: AbortSignal): RequestListener {
  const isDatabaseUp = remembered(REMEMBERED_MS, () =>
    deps.store.ping().then(
      () => true,
      () => false,
    ),
  );
  const answerReadiness = async (response: ServerResponse): Promise<void> => {
    const databaseUp = await isDatabaseUp();
    const ready = databaseUp && !draining.aborted;
    response.writeHead(ready ? 200 : 503, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(
      JSON.stringify({
        status: ready ? 'ready' : 'unavailable',
        database: databaseUp ? 'up' : 'down',
        draining: draining.aborted,
      }),
    );
  };
  return (request, response) =>
    background.run('request', deps.log, async () => {
      try {
        await route(deps, answerReadiness, request, response);
      } catch (error) {
        refuse(deps.log, response, error);
      }
    });
}

async function route(
  deps: RelayDeps,
  answerReadiness: (response: ServerResponse) => Promise<void>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (`${request.method} ${request.url?.split('?')[0]}`) {
    case 'POST /v1/chat/completions':
      return completeChat(deps, openAiWire, request, response);
    case 'POST /v1/messages':
      return completeChat(deps, anthropicWire, request, response);
    case 'GET /v1/models':
      return listModels(deps, request, response);
    case 'GET /livez':
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
      return;
    case 'GET /readyz':
      return answerReadiness(response);
    default:
      throw new RelayError(404, 'Not found. The relay supports POST /v1/chat/completions, POST /v1/messages and GET /v1/models.');
  }
}
