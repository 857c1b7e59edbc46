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
  close(): Promise<void>;
}

/** Answers to `connect`, one per attempt; the last one again and again. */
export type ConnectAnswer = { ok: true; payload: object } | { ok: false; error: object };

export function letIn(tickIntervalMs = 30_000): ConnectAnswer {
  const payload = { type: 'hello-ok', protocol: 4, server: { bootId: 'boot-1' }, policy: { tickIntervalMs } };
  return { ok: true, payload };
}

/** A peer that does on the wire what a real gateway cannot be made to do at a given moment. It answers `connect` only. */
export async function startScriptedGateway(answers: readonly ConnectAnswer[] = [letIn()]): Promise<ScriptedGateway> {
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
      if (request.method !== 'connect') return;
      const answer = answers[Math.min((connects += 1), answers.length) - 1];
      socket.send(JSON.stringify({ type: 'res', id: request.id, ...answer }));
    });
    socket.send(JSON.stringify({ type: 'event', event: 'connect.challenge', payload: { nonce: 'n' } }));
  });
  return {
    // A server that listens on a port has an address of this kind.
    wsUrl: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    send: (frame) => {
      for (const socket of sockets) socket.send(JSON.stringify(frame));
    },
    async close() {
      for (const socket of sockets) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
