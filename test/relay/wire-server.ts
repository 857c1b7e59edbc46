import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { startScriptedUpstream } from './scripted-upstream.ts';

export interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  body: Record<string, unknown>;
}

export interface WireServer {
  /** Without a path. */
  url: string;
  /** Every call so far, oldest first. */
  received: readonly Received[];
  /** How calls are answered from now on. */
  play(answer: (response: ServerResponse, call: Received) => void): void;
  close(): Promise<void>;
}

/** A provider that records what it is sent and answers as the test says. */
export async function startWireServer(): Promise<WireServer> {
  const received: Received[] = [];
  let answer: Parameters<WireServer['play']>[0] = (response) => void response.writeHead(500).end();
  const server = await startScriptedUpstream((request, response) => {
    void text(request).then((body) => {
      // What our own relay sends is an object.
      const call = { path: request.url ?? '', headers: request.headers, body: JSON.parse(body) as Record<string, unknown> };
      received.push(call);
      answer(response, call);
    });
  });
  return {
    url: server.url.replace(/\/v1$/, ''),
    received,
    play: (next) => void (answer = next),
    close: () => server.close(),
  };
}

/** Sends these bytes one by one, so that characters, lines and frames are cut everywhere. */
export function drop(response: ServerResponse, contentType: string, bytes: Uint8Array): void {
  response.writeHead(200, { 'content-type': contentType });
  for (const byte of bytes) response.write(Buffer.of(byte));
  response.end();
}

/** Refuses with this status and object. */
export function refuseWith(
  status: number,
  body: object,
  headers: Record<string, string> = {},
): (response: ServerResponse) => void {
  return (response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
