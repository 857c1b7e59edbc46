import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, ask, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';

const LIMIT_BYTES = 8 * 1024 ** 2;
/** What the fields of a request take beside its text. */
const FRAME_BYTES = 1_024;

let database: TestOrm;
let relay: RelayUnderTest;
let agent: TestAgent;

beforeAll(async () => {
  database = await openTestOrm();
  relay = await startRelay(database.url);
  agent = await addAgent(database.orm);
});

afterAll(async () => {
  await relay.close();
  await database.close();
});

/** Begins a call with the largest body, and never sends it. */
async function begin({ token }: TestAgent): Promise<Socket> {
  const { port } = new URL(relay.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${LIMIT_BYTES}\r\n\r\n`,
  );
  return socket;
}

test('a body of 8 MiB is taken, a larger one is 413', async () => {
  const sent = (bytes: number) => {
    const messages = [
      { role: 'system', content: 'x'.repeat(bytes) },
      { role: 'user', content: 'hello' },
    ];
    return ask(relay, { token: agent.token, fields: { messages } });
  };
  expect((await sent(LIMIT_BYTES - FRAME_BYTES)).status).toBe(200);
  expect((await sent(LIMIT_BYTES)).status).toBe(413);
});

test.each([
  ['lists within lists', `${'['.repeat(99)}${']'.repeat(99)}`, 'nested more than 100'],
  ['lists beside lists', `[${'[],'.repeat(100_000)}[]]`, 'more than 200000 values'],
])('%s are 400 before they are parsed', async (_what, messages, told) => {
  const response = await fetch(`${relay.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${agent.token}` },
    body: `{"model":"public-model","messages":[${messages}]}`,
  });
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(told)]);
});

/** Begins calls of which one does not fit. From its answer on the others hold all that there is. */
async function fill(callers: readonly TestAgent[]): Promise<Socket[]> {
  const sockets = await Promise.all(callers.map(begin));
  const [bytes] = await Promise.race(sockets.map((socket) => once(socket, 'data')));
  expect(String(bytes)).toMatch(/^HTTP\/1\.1 503 /);
  return sockets;
}

test('an account holds two of the largest bodies: more is 503, and another account is answered', async () => {
  const stranger = await addAgent(database.orm);
  const held = await fill([agent, agent, agent]);
  const refused = await ask(relay, { token: agent.token });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  expect((await ask(relay, { token: stranger.token })).status).toBe(200);
  for (const socket of held) socket.destroy();
  await eventually(async () => expect((await ask(relay, { token: agent.token })).status).toBe(200));
});

test('all accounts together hold eight of the largest bodies, and what they held is free when they are gone', async () => {
  const callers: TestAgent[] = [];
  for (let count = 0; count < 4; count += 1) callers.push(await addAgent(database.orm));
  const held = await fill([...callers, ...callers, await addAgent(database.orm)]);
  expect((await ask(relay, { token: agent.token })).status).toBe(503);
  for (const socket of held) socket.destroy();
  await eventually(async () => expect((await ask(relay, { token: agent.token })).status).toBe(200));
});
