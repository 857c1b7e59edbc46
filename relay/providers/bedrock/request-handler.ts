import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { HttpResponse } from '@smithy/core/protocols';
import type { HttpHandler, HttpHandlerOptions, HttpRequest } from '@smithy/core/protocols';
import { post } from '../../../lib/net/post.ts';
import type { Beginning } from '../begin-in-time.ts';

/** What each command of the client is sent with. */
export interface Sending extends Pick<Beginning, 'sent' | 'end'> {
  abortSignal: AbortSignal;
  /** The answer has begun. To be destroyed when it is no longer read: the SDK leaves a broken one as it is. */
  answered(answer: { destroy(): void }): void;
}

const NEVER = new AbortController().signal;

/**
 * Sends the requests of an AWS client. A command with the options `Sending` is told when its request is out, and when it is
 * ended because its answer says nothing for so many milliseconds.
 */
export function createRequestHandler(silenceMs: number): HttpHandler {
  const connections = { keepAlive: true };
  const agents = { http: new HttpAgent(connections), https: new HttpsAgent(connections) };
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request, options: HttpHandlerOptions & Partial<Omit<Sending, 'abortSignal'>> = {}) {
      const { abortSignal, sent, end, answered } = options;
      const answer = await post(urlOf(request), {
        agents,
        headers: request.headers,
        body: bodyOf(request),
        signal: abortSignal instanceof AbortSignal ? abortSignal : NEVER,
        silenceMs,
        ...(sent && end ? { onSent: sent, onSilence: end } : {}),
      });
      answered?.(answer);
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(answer.headers)) headers[name] = [value ?? ''].flat().join(', ');
      return { response: new HttpResponse({ statusCode: answer.statusCode ?? 0, headers, body: answer }) };
    },
    destroy() {
      agents.http.destroy();
      agents.https.destroy();
    },
    // Settings of the client that none of ours changes.
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
}

/** Calls of models have no query. */
function urlOf({ protocol, hostname, port, path }: HttpRequest): URL {
  return new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`);
}

function bodyOf({ body }: HttpRequest): string | Buffer {
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  throw new TypeError('A call of a model has a body of text or bytes');
}
