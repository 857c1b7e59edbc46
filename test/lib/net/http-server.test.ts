import { once } from 'node:events';
import { Agent, get } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import { startHttpServer } from '../../../lib/net/http-server.ts';
import type { HttpServer } from '../../../lib/net/http-server.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const LONG_MS = 600_000;

/** A server that keeps every request until the test answers it. */
async function startKeeping(): Promise<{ server: HttpServer; kept: () => Promise<ServerResponse> }> {
  const arrived: ServerResponse[] = [];
  let notify = (): void => {};
  const server = await startHttpServer((_, response) => {
    arrived.push(response);
    notify();
  }, LOOPBACK);
  const kept = async (): Promise<ServerResponse> => {
    if (arrived.length === 0) await new Promise<void>((resolve) => (notify = resolve));
    const response = arrived.shift();
    if (!response) throw new Error('No request came');
    return response;
  };
  return { server, kept };
}

function request({ port }: HttpServer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: new Agent({ keepAlive: true }) }, resolve).on('error', reject);
  });
}

test('a drain lets a request end, tells its client to leave, and takes no other', async () => {
  const { server, kept } = await startKeeping();
  const answer = request(server);
  const response = await kept();
  const drained = server.drain(LONG_MS);
  await expect(request(server)).rejects.toThrow('ECONNREFUSED');
  response.end('whole');
  expect((await answer).headers.connection).toBe('close');
  expect(await text(await answer)).toBe('whole');
  await drained;
});

test('a kept-alive connection whose answer had begun before the drain does not hold it up', async () => {
  const { server, kept } = await startKeeping();
  const answer = request(server);
  const response = await kept();
  response.write('begun, ');
  expect((await answer).headers.connection).toBe('keep-alive');
  const drained = server.drain(LONG_MS);
  response.end('ended');
  expect(await text(await answer)).toBe('begun, ended');
  await drained;
});

test('what never ends is cut after the grace', async () => {
  const { server, kept } = await startKeeping();
  const answer = request(server);
  const response = await kept();
  response.write('for ever');
  await answer;
  const cut = once(response, 'close');
  await server.drain(1);
  await cut;
});

test.each([
  ['headers', 'POST / HTTP/1.1\r\nHost: x\r\n'],
  ['a body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{'],
])('a request whose %s do not arrive in time is cut with 408', async (_what, begun) => {
  const server = await startHttpServer(() => {}, { ...LOOPBACK, arrivalMs: 50 });
  const socket = connect(server.port, '127.0.0.1');
  socket.write(begun);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 408 /);
  await server.drain(0);
});

test('a drain can be asked for twice', async () => {
  const { server } = await startKeeping();
  await Promise.all([server.drain(LONG_MS), server.drain(LONG_MS)]);
});

test('a port that is taken is an error', async () => {
  const { server } = await startKeeping();
  await expect(startHttpServer(() => {}, { ...LOOPBACK, port: server.port })).rejects.toThrow('EADDRINUSE');
  await server.drain(0);
});

describe('what is no request', () => {
  const explainUnparsed = (status: number) => ({ headers: { 'X-Request-Id': 'req_1' }, body: `{"status":${status}}` });

  /** A connection to a server that explains, and all that comes back on it. */
  async function talk(listener: RequestListener) {
    const server = await startHttpServer(listener, { ...LOOPBACK, explainUnparsed });
    const socket = connect(server.port, LOOPBACK.host);
    return { server, socket, answer: text(socket) };
  }

  test('gets the answer that was asked for, and the connection ends', async () => {
    const { server, socket, answer } = await talk(() => {});
    socket.write('FOO / HTTP/1.1\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[^]*X-Request-Id: req_1\r\n\r\n\{"status":400\}$/);
    await server.drain(LONG_MS);
  });

  test('does not spoil an answer that has begun: it is cut', async () => {
    const { server, socket, answer } = await talk((_, response) => void response.write('begun'));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.write('FOO / HTTP/1.1\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 200 [^]*begun\r\n$/);
    await server.drain(LONG_MS);
  });

  test('comes after whole answers', async () => {
    const { server, socket, answer } = await talk((_, response) => void response.end('whole'));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.write('FOO / HTTP/1.1\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1\.1 200 [^]*wholeHTTP\/1\.1 400 /);
    await server.drain(LONG_MS);
  });

  test('may be from a client that has gone', async () => {
    const { server, socket, answer } = await talk(() => {});
    await once(socket, 'connect');
    socket.write('FOO / HTTP/1.1\r\n\r\n');
    socket.resetAndDestroy();
    await expect(answer).rejects.toThrow('Premature close');
    await server.drain(LONG_MS);
  });
});
