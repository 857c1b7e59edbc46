import { afterEach, expect, test } from '@jest/globals';
import { GatewayConnectError } from '../../../../runtime/gateway/gateway-errors.ts';
import { connectGateway } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient, GatewayEvent, SecondAnswer } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { eventually, PATIENCE_MS } from '../../../support/eventually.ts';
import { letIn, startScriptedGateway } from '../scripted-gateway.ts';
import type { Answer, ScriptedGateway } from '../scripted-gateway.ts';

let gateway: ScriptedGateway;
afterEach(() => gateway.close());

async function connected(answers?: readonly Answer[], timeoutMs = PATIENCE_MS): Promise<GatewayClient> {
  gateway = await startScriptedGateway(answers);
  return connectGateway({ wsUrl: gateway.wsUrl, token: 'the-token', signal: new AbortController().signal, timeoutMs });
}

/** The id of the request that the gateway got last, once it is another one than `connect`. */
function lastId(): Promise<string> {
  return eventually(() => {
    const last = gateway.requests.at(-1);
    if (!last || last.method === 'connect') throw new Error('No request came');
    return last.id;
  });
}

const starting: Answer = {
  ok: false,
  error: { code: 'UNAVAILABLE', message: 'starting', retryable: true, retryAfterMs: 10, details: { reason: 'startup-sidecars' } },
};
const wrongToken: Answer = {
  ok: false,
  error: { code: 'INVALID_REQUEST', message: 'unauthorized', details: { code: 'AUTH_TOKEN_MISMATCH' } },
};

test('a gateway that is still starting is asked again', async () => {
  const client = await connected([starting, starting, letIn()]);
  expect(client.bootId).toBe('boot-1');
  expect(gateway.requests).toHaveLength(3);
});

test('one that never gets ready is given up when the time is over, and may be tried again', async () => {
  const failure = await connected([starting], 200).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(GatewayConnectError);
  expect(failure).toMatchObject({ retryable: true, message: expect.stringContaining('within 200 ms') });
});

test('a refused token is not tried again', async () => {
  await expect(connected([wrongToken])).rejects.toMatchObject({
    message: 'The gateway refused the connection: unauthorized',
    retryable: false,
  });
  expect(gateway.requests).toHaveLength(1);
});

test('a cancelled connect ends with the reason', async () => {
  const reason = new Error('cancelled');
  gateway = await startScriptedGateway([starting]);
  const connect = connectGateway({ wsUrl: gateway.wsUrl, token: 't', signal: AbortSignal.abort(reason), timeoutMs: 5_000 });
  await expect(connect).rejects.toBe(reason);
});

test('a gateway that misses six ticks is dead, and every waiting request learns of it', async () => {
  const client = await connected([letIn(50)]);
  const request = client.request('health', {});
  await expect(request).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
  await client.closed;
  expect(client.isOpen()).toBe(false);
  await expect(client.request('health', {})).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
});

test('a gateway that ticks stays', async () => {
  const client = await connected([letIn(500)]);
  // For longer than six ticks take.
  for (const begun = performance.now(); performance.now() - begun < 3_500;) {
    gateway.send({ type: 'event', event: 'tick', payload: {} });
    const answer = client.request('health', {}, { timeoutMs: 60 });
    await expect(answer).rejects.toMatchObject({ code: 'NO_ANSWER' });
  }
  expect(client.isOpen()).toBe(true);
  client.close();
});

test('an error answer without a payload is an answer', async () => {
  const client = await connected();
  const request = client.request('health', {});
  const error = {
    code: 'UNAVAILABLE',
    message: 'busy',
    retryable: true,
    retryAfterMs: 7,
    details: { reason: 'gateway-restarting' },
  };
  gateway.send({ type: 'res', id: await lastId(), ok: false, error });
  await expect(request).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'busy',
    reason: 'gateway-restarting',
    retryable: true,
    retryAfterMs: 7,
  });
  client.close();
});

test('answers may come out of order, and what is unknown is ignored', async () => {
  const client = await connected();
  const first = client.request('one', {});
  const firstId = await lastId();
  const second = client.request('two', {});
  const secondId = await eventually(async () => {
    const id = await lastId();
    expect(id).not.toBe(firstId);
    return id;
  });
  gateway.send({ type: 'res', id: 'nobody', ok: true, payload: 0 });
  gateway.send({ type: 'news', id: firstId });
  gateway.send({ type: 'res', id: secondId, ok: true, payload: 2 });
  gateway.send({ type: 'res', id: firstId, ok: true, payload: 1 });
  expect(await Promise.all([first, second])).toEqual([1, 2]);
  client.close();
});

test('a second answer goes to its listener once, and only when the first announced it', async () => {
  const client = await connected();
  const seconds: SecondAnswer[] = [];
  const second = {
    follows: (payload: unknown) => payload === 'more',
    onResponse: (answer: SecondAnswer) => void seconds.push(answer),
  };
  for (const first of ['all', 'more']) {
    const request = client.request('agent', {}, { second });
    const id = await eventually(async () => {
      const last = gateway.requests.at(-1);
      if (gateway.requests.length !== (first === 'all' ? 2 : 3) || !last) throw new Error('No request came');
      return last.id;
    });
    for (const payload of [first, `${first} second`, `${first} third`]) gateway.send({ type: 'res', id, ok: true, payload });
    expect(await request).toBe(first);
  }
  await eventually(() => expect(seconds).toEqual([{ payload: 'more second', error: null }]));
  client.close();
});

test('a cancelled request ends with the reason, and its late answer harms nothing', async () => {
  const client = await connected();
  const cancel = new AbortController();
  const request = client.request('slow', {}, { signal: cancel.signal });
  const id = await lastId();
  const reason = new Error('enough');
  cancel.abort(reason);
  await expect(request).rejects.toBe(reason);
  gateway.send({ type: 'res', id, ok: true, payload: 'late' });
  expect(client.isOpen()).toBe(true);
  client.close();
});

test('events that came right behind the answer are not lost to who listens from then on', async () => {
  const client = await connected();
  const seen: GatewayEvent[] = [];
  const request = client.request('one', {}).then(() => client.onEvent((event) => void seen.push(event)));
  const id = await lastId();
  gateway.send({ type: 'res', id, ok: true, payload: 1 });
  gateway.send({ type: 'event', event: 'shutdown', payload: { reason: 'gateway stopping' } });
  const unsubscribe = await request;
  await eventually(() => expect(seen).toEqual([{ kind: 'shutdown', reason: 'gateway stopping', restartExpectedMs: null }]));
  unsubscribe();
  client.close();
});

test('the attachments that a gateway takes out of an answer are lines at its end, each once, 100 at most', async () => {
  const client = await connected();
  const finals: string[] = [];
  client.onEvent((event) => {
    if (event.kind === 'final') finals.push(event.text);
  });
  const say = (runId: string, mediaUrls: string[]): void => {
    const data = { text: 'Look:', delta: '', mediaUrls };
    gateway.send({ type: 'event', event: 'agent', payload: { runId, sessionKey: 's', stream: 'assistant', data } });
  };
  const end = (runId: string, content?: string): void => {
    const message = content === undefined ? {} : { message: { content } };
    gateway.send({ type: 'event', event: 'chat', payload: { runId, sessionKey: 's', state: 'final', ...message } });
  };
  const many = Array.from({ length: 101 }, (_, index) => `/tmp/${index}.png`);
  say('one', ['https://example.com/a.png']);
  say('two', ['./b.png']);
  say('one', ['https://example.com/a.png', './c.png']);
  say('many', many);
  end('one', 'Look:');
  end('two');
  end('one', 'A second time');
  end('many', 'Look:');
  await eventually(() =>
    expect(finals).toEqual([
      'Look:\nMEDIA:https://example.com/a.png\nMEDIA:./c.png',
      'MEDIA:./b.png',
      'A second time',
      ['Look:', ...many.slice(0, 100).map((path) => `MEDIA:${path}`)].join('\n'),
    ]),
  );
  client.close();
});
