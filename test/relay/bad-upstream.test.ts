import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { addAgent, ask, callsOf, contentOf, estimateOf, readerOf, readUntil, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

/** Short enough to be waited for, long enough for a good call on a busy machine. */
const LIMITS = { thinkingMs: 4_000, silenceMs: 4_000 };
const CALL_MS = 30_000;
const DRIP_MS = 50;

const word = (text: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
const usage = (fields: string) => `data: {"choices":[],"usage":${fields}}\n\n`;
const GOOD_USAGE = usage('{"prompt_tokens":3,"completion_tokens":2}');
const DONE = 'data: [DONE]\n\n';

/** How a call ends for the agent that made it: refused for good, or broken so that its gateway may try again. */
type End = 'whole' | 'broken' | 'refused';

interface BadUpstream {
  end: End;
  /** What is counted of its calls: input and output tokens. */
  counted?: [input: number | 'estimated', output: number];
  play(response: ServerResponse, socket: Socket): void;
}

function stream(response: ServerResponse, type = 'text/event-stream'): void {
  response.writeHead(200, { 'content-type': type });
}

/** Says this again and again until the caller has left. */
function drip(socket: Socket, write: () => void): void {
  const timer = setInterval(write, DRIP_MS);
  socket.once('close', () => clearInterval(timer));
}

/** It may go on after we have given it up. */
const PROMISED: BadUpstream['counted'] = ['estimated', 1_024];

const BAD: Record<string, BadUpstream> = {
  'never answers': { end: 'refused', counted: PROMISED, play: () => {} },
  'speaks another protocol': { end: 'refused', play: (_, socket) => void socket.write('220 mail.example ESMTP\r\n') },
  'sends headers for ever': {
    end: 'refused',
    counted: PROMISED,
    play(_, socket) {
      socket.write('HTTP/1.1 200 OK\r\n');
      drip(socket, () => socket.write('x-more: 1\r\n'));
    },
  },
  'sends a header of 200 KiB': {
    end: 'refused',
    play: (_, socket) => void socket.write(`HTTP/1.1 200 OK\r\nx-huge: ${'x'.repeat(200 * 1024)}\r\n\r\n`),
  },
  'says for ever that it is at work': {
    end: 'refused',
    counted: PROMISED,
    play: (_, socket) => drip(socket, () => socket.write('HTTP/1.1 102 Processing\r\n\r\n')),
  },
  'refuses in words without end': {
    end: 'refused',
    play(response, socket) {
      response.writeHead(500, { 'content-type': 'application/json' });
      drip(socket, () => response.write('{'));
    },
  },
  'answers with another status': { end: 'refused', play: (response) => void response.writeHead(999).end('no') },
  'sends the caller elsewhere': {
    end: 'refused',
    play: (response) => void response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  },
  'stops in the middle': {
    end: 'broken',
    counted: ['estimated', 1],
    play(response) {
      stream(response);
      response.write(word('one'));
    },
  },
  'feeds a drop at a time without end': {
    end: 'refused',
    counted: PROMISED,
    play(response, socket) {
      stream(response);
      drip(socket, () => response.write(' '));
    },
  },
  'breaks the encoding of its stream': {
    end: 'refused',
    play: (_, socket) =>
      void socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\nZZ\r\n',
      ),
  },
  'promises more than it sends': {
    end: 'broken',
    counted: ['estimated', 1],
    play: (_, socket) =>
      void socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n${word('one')}`),
  },
  'answers with an object larger than any': {
    end: 'refused',
    counted: ['estimated', 1_024],
    play(response) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(' '.repeat(5 * 1024 ** 2));
    },
  },
  'answers with a page': {
    end: 'whole',
    counted: ['estimated', 6],
    play: (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
  },
  'sends events that are none': {
    end: 'whole',
    counted: [3, 2],
    play(response) {
      stream(response);
      response.end(`data: {"choices": \n\ndata: null\n\nevent: \0\n\n:\n\ndata:[[[[\n\n${GOOD_USAGE}${DONE}`);
    },
  },
  'spells its content type in capitals': {
    end: 'whole',
    counted: [3, 2],
    play(response) {
      stream(response, 'Text/Event-Stream; Charset=UTF-8');
      response.end(word('one') + GOOD_USAGE + DONE);
    },
  },
  'counts below nothing': {
    end: 'whole',
    counted: ['estimated', 1],
    play(response) {
      stream(response);
      response.end(word('one') + usage('{"prompt_tokens":-5,"completion_tokens":2}') + DONE);
    },
  },
  'counts beyond all numbers': {
    end: 'whole',
    counted: ['estimated', 1],
    play(response) {
      stream(response);
      response.end(word('one') + usage('{"prompt_tokens":1e300,"completion_tokens":0.5}') + DONE);
    },
  },
  'begins with informational answers that nobody asked for': {
    end: 'whole',
    counted: [3, 2],
    play(response, socket) {
      socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n');
      stream(response);
      response.end(word('one') + GOOD_USAGE + DONE);
    },
  },
  'ends its lines with CR': {
    end: 'whole',
    counted: [3, 2],
    play(response) {
      stream(response);
      response.end((word('one') + GOOD_USAGE + DONE).replaceAll('\n', '\r'));
    },
  },
  'goes on after its end': {
    end: 'whole',
    counted: [3, 2],
    play(response, socket) {
      stream(response);
      response.write(word('one') + GOOD_USAGE + DONE);
      drip(socket, () => response.write(': still here\n\n'));
    },
  },
};

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let orm: MikroORM;
let upstream: Awaited<ReturnType<typeof startScriptedUpstream>>;
let relay: RelayUnderTest;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
  upstream = await startScriptedUpstream((request, response) => {
    void textOf(request).then((body) => {
      const bad = /\[\[BAD (.*?)\]\]/.exec(body)?.[1];
      if (bad !== undefined) return BAD[bad]?.play(response, request.socket);
      stream(response);
      return response.end(word('all') + word(' is') + word(' well') + GOOD_USAGE + DONE);
    });
  });
  relay = await startRelay(database.url, upstream.url, { limits: LIMITS, budgetMs: 1_000, callMs: CALL_MS });
});

afterAll(async () => {
  await relay.close();
  await upstream.close();
  await orm.close();
  await database.drop();
});

async function endOf(agent: TestAgent, text: string): Promise<{ end: End; content: string }> {
  const response = await ask(relay, { token: agent.token, text });
  if (response.status !== 200) return { end: response.status === 400 ? 'refused' : 'broken', content: await response.text() };
  return response.text().then(
    (content): { end: End; content: string } => ({ end: 'whole', content }),
    (): { end: End; content: string } => ({ end: 'broken', content: '' }),
  );
}

test(
  'whatever a provider does to some calls, each of them ends and is counted once, and the others get their whole answers meanwhile',
  async () => {
    const bad: { name: string; end: End; counted: BadUpstream['counted']; agent: TestAgent }[] = [];
    for (const [name, { end, counted }] of Object.entries(BAD)) bad.push({ name, end, counted, agent: await addAgent(orm) });
    const ends = Promise.all(bad.map(async ({ name, agent }) => [name, (await endOf(agent, `[[BAD ${name}]]`)).end]));
    const good = await addAgent(orm);
    for (let call = 0; call < 10; call += 1) {
      const { end, content } = await endOf(good, 'hello');
      expect([end, contentOf(content)]).toEqual(['whole', 'all is well']);
    }
    expect(await ends).toEqual(bad.map(({ name, end }) => [name, end]));
    for (const { name, agent, counted } of bad) {
      const [input, output] = counted ?? [];
      const estimated = estimateOf({ text: `[[BAD ${name}]]` });
      const wanted = counted ? [{ input_tokens: input === 'estimated' ? estimated : input, output_tokens: output }] : [];
      await eventually(async () => expect([name, await callsOf(orm, agent)]).toMatchObject([name, wanted]));
    }
    expect(await callsOf(orm, good)).toHaveLength(10);
    await eventually(async () => expect(await relay.metrics()).toMatch(/open_calls(?:\{[^}]*\})? 0\n/));
  },
  TEST_LIMIT_MS,
);

test(
  'an answer without end is read from the provider no faster than its caller reads it, and is cut in the end',
  async () => {
    let sent = 0;
    const endless = await startScriptedUpstream((request, response) => {
      request.resume();
      stream(response);
      const chunk = word('x'.repeat(64 * 1024));
      const pour = (): void => {
        do sent += chunk.length;
        while (response.write(chunk) && !response.destroyed);
      };
      response.on('drain', pour);
      pour();
    });
    const through = await startRelay(database.url, endless.url, { limits: LIMITS, callMs: 4_000 });
    const agent = await addAgent(orm);
    const reader = readerOf(await ask(through, { token: agent.token }));
    await readUntil(reader, 'xxx');
    // Until its time is up it waits for the caller; what is under way fits into the buffers of three sockets.
    await eventually(async () => expect(await callsOf(orm, agent)).toHaveLength(1));
    expect(sent).toBeLessThan(32 * 1024 ** 2);
    await reader.cancel().catch(() => {});
    await through.close();
    await endless.close();
  },
  TEST_LIMIT_MS,
);
