import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { recordEvent } from '../../../database/events/record-event.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createApiClient } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

const MANY = 120;

let api: ApiUnderTest;
let account: AccountClient;
let instanceId: string;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  instanceId = await newInstance(account);
});
afterAll(() => api.close());

function record(content: string, owner = account, of: string | null = instanceId): Promise<number | null> {
  const id = api.deps.makeId('evt');
  return runTransaction(api.orm.em, (em) =>
    recordEvent(em, {
      ...{
        id,
        accountId: owner.accountId,
        instanceId: of,
        type: 'agent.message',
        agentSlug: 'a',
        agentName: 'A',
        source: 'agent',
      },
      ...{ messageId: null, content, jobName: null, error: null, createdAt: api.deps.clock(), occurrenceKey: null },
    }),
  );
}

/** Reads the stream until it has so many events, then hangs up. */
async function read(count: number, { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {}) {
  const gone = new AbortController();
  const response = await fetch(`${api.url}/v1/events/stream${query}`, {
    headers: { authorization: `Bearer ${account.token}`, ...headers },
    signal: gone.signal,
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const found: { id: string | undefined; data: { seq: number; content: string } }[] = [];
  const frames = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { id, data } of frames ?? []) if (found.push({ id, data: JSON.parse(data) }) === count) break;
  gone.abort();
  return found;
}

describe('events.stream', () => {
  test('sends what was recorded before, over pages, and then each event at its commit', async () => {
    for (let number = 1; number <= MANY; number += 1) await record(`before ${number}`);
    const reading = read(MANY + 2);
    const stranger = await api.newAccount();
    await record('of another account', stranger, null);
    for (const content of ['live 1', 'live 2']) await record(content);
    const events = await reading;
    expect(events.map(({ id }) => Number(id))).toEqual(Array.from({ length: MANY + 2 }, (_none, index) => index + 1));
    expect(events.map(({ data }) => String(data.seq))).toEqual(events.map(({ id }) => id));
    expect(events.slice(-2).map(({ data }) => data.content)).toEqual(['live 1', 'live 2']);
    const listed = await account.ok('GET', '/events?limit=1');
    expect(events[0]?.data).toEqual(listed.events[0]);
  });

  test('goes on after the last event that a client has received, without a gap', async () => {
    const [first] = await read(1, { query: '?after=5' });
    expect(first?.id).toBe('6');
    const next = await read(3, { query: '?after=0', headers: { 'last-event-id': '6' } });
    expect(next.map(({ id }) => id)).toEqual(['7', '8', '9']);
  });

  test('opens at once although nothing happens', async () => {
    const quiet = await api.newAccount();
    const gone = new AbortController();
    const response = await fetch(`${api.url}/v1/events/stream`, {
      headers: { authorization: `Bearer ${quiet.token}` },
      signal: gone.signal,
    });
    expect(response.status).toBe(200);
    gone.abort();
  });

  test('answers a HEAD without a stream', async () => {
    const headers = { authorization: `Bearer ${account.token}` };
    const response = await fetch(`${api.url}/v1/events/stream`, { method: 'HEAD', headers });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
  });

  test.each([
    ['after=-1', {}, 'after'],
    ['after=x', {}, 'after'],
    ['', { 'last-event-id': 'evt_1' }, 'Last-Event-ID'],
  ])('refuses %s %j', async (query, headers, path) => {
    const { status, body } = await account.call('GET', `/events/stream?${query}`, undefined, { headers });
    expect([status, body.error.details[0].path]).toEqual([400, path]);
  });

  test('is not for a key of one instance, whose sequence would have gaps', async () => {
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'x', instanceId });
    const { status } = await createApiClient(api.url, { 'x-api-key': apiKey }).call('GET', '/events/stream');
    expect(status).toBe(403);
  });
});
