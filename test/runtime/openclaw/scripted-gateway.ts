import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

export interface ScriptedRequest {
  id: string;
  method: string;
  params: unknown;
}

export interface ScriptedGateway {
  wsUrl: string;
  requests: ScriptedRequest[];
  /** To every connection. */
  send(frame: object): void;
  /** The sockets of all connections, the last one at the end. */
  sockets: readonly WebSocket[];
  close(): Promise<void>;
}

/** What a request is answered. */
export type Answer = { ok: true; payload: object } | { ok: false; error: object };

export function letIn(tickIntervalMs = 30_000): Answer {
  const payload = { type: 'hello-ok', protocol: 4, server: { bootId: 'boot-1' }, policy: { tickIntervalMs } };
  return { ok: true, payload };
}

/**
 * A peer that does on the wire what a real gateway cannot be made to do at a given moment. It answers `connect`, one of
 * `answers` per attempt and the last one again and again, and what else `answerOf` has an answer to.
 */
export async function startScriptedGateway(
  answers: readonly Answer[] = [letIn()],
  answerOf: (request: ScriptedRequest) => Answer | null = () => null,
): Promise<ScriptedGateway> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const sockets: WebSocket[] = [];
  const requests: ScriptedRequest[] = [];
  let connects = 0;
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('message', (data) => {
      // What our own client sends.
      const request = JSON.parse(Buffer.isBuffer(data) ? data.toString() : '') as ScriptedRequest;
      requests.push(request);
      const isConnect = request.method === 'connect';
      const answer = isConnect ? answers[Math.min((connects += 1), answers.length) - 1] : answerOf(request);
      if (answer) socket.send(JSON.stringify({ type: 'res', id: request.id, ...answer }));
    });
    socket.send(JSON.stringify({ type: 'event', event: 'connect.challenge', payload: { nonce: 'n' } }));
  });
  return {
    // A server that listens on a port has an address of this kind.
    wsUrl: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sockets,
    send: (frame) => {
      for (const socket of sockets) socket.send(JSON.stringify(frame));
    },
    async close() {
      for (const socket of sockets) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
