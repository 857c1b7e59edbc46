import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { APIConnectionError, AuthenticationError, NotFoundError, PermissionDeniedError, RateLimitError } from 'openai';
import type { OpenAI } from 'openai';
import { BODY_LIMIT_BYTES } from '../../../api/doors/openai/official-client.ts';
import { openaiOperations } from '../../../api/doors/openai/operations.ts';
import { endTurn, newAgent, newInstance } from '../rows.ts';
import type { Json } from '../../support/api-client.ts';
import { eventually } from '../../support/eventually.ts';
import { startOpenaiAgent } from './openai-agent.ts';
import type { OpenaiAgent } from './openai-agent.ts';

let door: OpenaiAgent;

beforeAll(async () => {
  door = await startOpenaiAgent({ CORS_ORIGINS: 'https://app.example.com', MAX_INSTANCES_PER_ACCOUNT: '50' });
});
afterAll(() => door?.close());

const say = (text: string, options: object = {}, client = door.openai) =>
  client.chat.completions.create({ model: door.agentId, messages: [{ role: 'user', content: text }] }, options);
const timesSaid = async (text: string) => (await door.said()).filter(({ content }) => content === text).length;
const bare = (path: string, init: RequestInit = {}) => fetch(`${door.api.url}/openai/v1${path}`, init);
const bodyOf = async (response: Response): Promise<Json> => response.json();
const keyWith = async (limits: object): Promise<OpenAI> =>
  door.clientWith({ apiKey: (await door.account.ok('POST', '/auth/keys', { name: 'limited', ...limits })).apiKey });

describe('models', () => {
  test('are the agents of the account, the newest first', async () => {
    const instanceId = await newInstance(door.account);
    const agentId = await newAgent(door.account, instanceId, 'second');
    const { data } = await door.openai.models.list();
    expect(data.slice(0, 2)).toEqual([
      { id: agentId, object: 'model', created: expect.any(Number), owned_by: instanceId, name: 'Support Bot' },
      { id: door.agentId, object: 'model', created: expect.any(Number), owned_by: door.instanceId, name: 'Support Bot' },
    ]);
    expect(await door.openai.models.retrieve(agentId)).toEqual(data[0]);
    expect(await door.openai.models.retrieve(`${instanceId}/second`)).toEqual(data[0]);
  });

  test('of another account, or of an instance that the key does not reach, are not found', async () => {
    const stranger = await door.api.newAccount();
    const { apiKey } = await stranger.ok('POST', '/auth/keys', { name: 'stranger' });
    const instanceId = await newInstance(door.account);
    const agentId = await newAgent(door.account, instanceId);
    for (const client of [door.clientWith({ apiKey }), await keyWith({ instanceId })]) {
      const own = (await client.models.list()).data.map(({ id }) => id);
      expect(own).toEqual(apiKey === client.apiKey ? [] : [agentId]);
      await expect(client.models.retrieve(door.agentId)).rejects.toBeInstanceOf(NotFoundError);
      await expect(say('Hello', {}, client)).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    }
  });

  test.each(['gpt-4o', '', 'agt_nothingnothing00', 'inst_nothingnothing00/helper', 'inst_/..', 'a/b/c'])(
    'that are none are not found: %j',
    async (model) => {
      const refused = door.openai.chat.completions.create({ model, messages: [{ role: 'user', content: 'a' }] });
      await expect(refused).rejects.toMatchObject({ status: model === '' ? 400 : 404, param: 'model' });
    },
  );
});

describe('a caller', () => {
  test('sends the key as bearer token, or in our own header; the token decides, and a wrong one is 401', async () => {
    const models = async (headers: Record<string, string>) => (await bare('/models', { headers })).status;
    expect(await models({ authorization: `Bearer ${door.apiKey}` })).toBe(200);
    expect(await models({ 'x-api-key': door.apiKey })).toBe(200);
    expect(await models({ authorization: `Bearer ${door.account.token}` })).toBe(200);
    expect(await models({ authorization: 'Bearer tc_live_wrong', 'x-api-key': door.apiKey })).toBe(401);
    await expect(door.clientWith({ apiKey: 'sk-wrong' }).models.list()).rejects.toBeInstanceOf(AuthenticationError);
  });

  test('needs the scope messages, for each operation', async () => {
    expect(new Set(openaiOperations.map(({ scope }) => scope))).toEqual(new Set(['messages']));
    const reader = await keyWith({ scopes: ['read', 'write', 'secrets'] });
    const refused = reader.models.list();
    await expect(refused).rejects.toBeInstanceOf(PermissionDeniedError);
    await expect(refused).rejects.toMatchObject({ code: 'insufficient_permissions', type: 'invalid_request_error' });
    expect((await (await keyWith({ scopes: ['messages'] })).models.list()).data.length).toBeGreaterThan(0);
  });

  test('may be a page in a browser, which sends the headers of the official client and reads ours', async () => {
    const origin = 'https://app.example.com';
    const preflight = await bare('/models', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    const allowed = preflight.headers.get('access-control-allow-headers')?.toLowerCase().split(', ');
    expect(allowed).toEqual(expect.arrayContaining(['x-session-id', 'x-stainless-retry-count', 'x-stainless-os']));
    const { headers } = await bare('/models', { headers: { origin, authorization: `Bearer ${door.apiKey}` } });
    expect(headers.get('access-control-expose-headers')).toContain('X-Ignored-Parameters');
  });

  test('has one limit of requests at every door', async () => {
    const limited = await startOpenaiAgent({ RATE_LIMIT_PER_MINUTE: '10' });
    try {
      const calls = await Promise.allSettled(Array.from({ length: 11 }, () => limited.openai.models.list()));
      const refused = calls.find((call) => call.status === 'rejected');
      expect(refused?.reason).toBeInstanceOf(RateLimitError);
      expect(refused?.reason).toMatchObject({ code: 'rate_limit_exceeded', type: 'requests' });
      expect(Number(refused?.reason.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await limited.account.call('GET', '/instances')).status).toBe(429);
    } finally {
      await limited.close();
    }
  });
});

describe('an error', () => {
  const WRONG: [name: string, path: string, init: RequestInit, status: number, code: string][] = [
    ['of an unknown path', '/nothing', {}, 404, 'not_found'],
    ['of an unsupported method', '/models', { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['of a body that is no JSON', '/chat/completions', { method: 'POST', body: '{' }, 400, 'invalid_request'],
    [
      'of a body of another type',
      '/responses',
      { method: 'POST', body: 'a', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
    ],
    [
      'of a body that is too large',
      '/chat/completions',
      { method: 'POST', body: `"${'x'.repeat(BODY_LIMIT_BYTES)}"` },
      413,
      'payload_too_large',
    ],
    ['of an unknown response', '/responses/resp_none', {}, 404, 'not_found'],
  ];
  test.each(WRONG)('%s has the form of OpenAI', async (_name, path, init, status, code) => {
    const headers = { authorization: `Bearer ${door.apiKey}`, 'content-type': 'application/json', ...(init.headers as object) };
    const response = await bare(path, { ...init, headers });
    const body = await bodyOf(response);
    expect([response.status, body]).toEqual([
      status,
      { error: expect.objectContaining({ message: expect.any(String), type: 'invalid_request_error', code }) },
    ]);
    expect(body.error).toHaveProperty('param');
    expect(response.headers.get('x-request-id')).toBe(body.error.requestId);
    expect(response.headers.get('x-should-retry')).toBe('false');
  });

  test('of our own paths keeps its form', async () => {
    const { body } = await door.account.call('GET', '/nothing');
    expect(body.error).toEqual(expect.objectContaining({ code: 'not_found', status: 404 }));
    const besides = await bodyOf(await fetch(`${door.api.url}/openai/v1x/models`));
    expect(besides.error).toEqual(expect.objectContaining({ code: 'not_found', status: 404 }));
  });

  test('in the middle of a stream ends it for the official client', async () => {
    const stream = await door.openai.chat.completions.create({
      model: door.agentId,
      messages: [{ role: 'user', content: '[[SAY One two three]] [[HOLD ended 1]]' }],
      stream: true,
    });
    const reading = (async () => {
      for await (const chunk of stream) {
        if (!chunk.choices[0]?.delta.content) continue;
        await endTurn(door.api, chunk.id.slice('chatcmpl-'.length), {
          status: 'failed',
          reason: 'turn_timeout',
          message: 'The turn took too long.',
        });
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: 'agent_error', type: 'server_error' });
    door.control.release('ended');
  });

  test('is 429 insufficient_quota when the account has no money, and the client does not try again', async () => {
    await door.api.sql('update accounts set balance_nano_usd = 0 where id = ? returning id', [door.account.accountId]);
    await door.api.sql(`update instances set status = 'stopped' where id = ? returning id`, [door.instanceId]);
    const text = 'Out of money';
    try {
      const refused = say(text, { maxRetries: 5 });
      await expect(refused).rejects.toBeInstanceOf(RateLimitError);
      await expect(refused).rejects.toMatchObject({ status: 429, code: 'insufficient_quota', type: 'insufficient_quota' });
    } finally {
      await door.api.sql('update accounts set balance_nano_usd = 50000000000 where id = ? returning id', [
        door.account.accountId,
      ]);
      await door.api.sql(`update instances set status = 'running' where id = ? returning id`, [door.instanceId]);
    }
    expect(await timesSaid(text)).toBe(0);
  });

  test('is 503 that may be tried again where the instance does not run', async () => {
    await door.api.sql(`update instances set status = 'stopped' where id = ? returning id`, [door.instanceId]);
    const refused = await say('Hello').catch((error: unknown) => error);
    await door.api.sql(`update instances set status = 'running' where id = ? returning id`, [door.instanceId]);
    expect(refused).toMatchObject({ status: 503, code: 'instance_not_ready', type: 'server_error' });
    expect((refused as { headers: Headers }).headers.get('x-should-retry')).toBe('true');
  });
});

describe('a turn', () => {
  test('is never doubled by a call that is sent twice with one Idempotency-Key', async () => {
    const text = '[[SAY Once]] With a key';
    const answers = [];
    for (let call = 0; call < 2; call += 1) answers.push(await say(text, { headers: { 'Idempotency-Key': 'once' } }));
    expect(answers[1]).toEqual(answers[0]);
    expect(await timesSaid(text)).toBe(1);
    const other = say('Other', { headers: { 'Idempotency-Key': 'once' } });
    await expect(other).rejects.toMatchObject({ status: 409, code: 'conflict' });
  });

  test('is never doubled by the retries of an official client that lost its connection', async () => {
    const text = '[[SAY Once]] [[HOLD lost]] Without a key';
    let calls = 0;
    const client = door.clientWith({
      maxRetries: 2,
      // The first answer never arrives.
      async fetch(url, init) {
        calls += 1;
        if (calls > 1) return fetch(url, init);
        const gone = new AbortController();
        const lost = fetch(url, { ...init, signal: gone.signal }).catch(() => undefined);
        await eventually(async () => expect(await timesSaid(text)).toBe(1));
        gone.abort();
        await lost;
        door.control.release('lost');
        throw new TypeError('the connection was lost');
      },
    });
    const completion = await say(text, {}, client);
    expect([completion.choices[0]?.message.content, calls, await timesSaid(text)]).toEqual(['Once', 2, 1]);
  });

  test('that has failed is not tried again by an official client', async () => {
    const text = '[[FAIL 400]] Not again';
    await expect(say(text, { maxRetries: 3 })).rejects.toMatchObject({ status: 502, code: 'agent_error' });
    expect(await timesSaid(text)).toBe(1);
  });

  test('is sent by an official client that could not connect before', async () => {
    let calls = 0;
    const client = door.clientWith({
      maxRetries: 1,
      fetch(url, init) {
        calls += 1;
        return calls === 1 ? Promise.reject(new APIConnectionError({ message: 'refused' })) : fetch(url, init);
      },
    });
    expect((await say('[[SAY Connected]]', {}, client)).choices[0]?.message.content).toBe('Connected');
  });

  test('said by an official client twice, both times for the first time, is two turns', async () => {
    const text = '[[SAY Twice]] On purpose';
    await say(text);
    await say(text);
    expect(await timesSaid(text)).toBe(2);
  });
});

describe('what a chat page asks about a conversation', () => {
  /** As Open WebUI and LibreChat send them, with what they add to each request. */
  const requests = JSON.parse(readFileSync(join(import.meta.dirname, 'chat-pages.json'), 'utf8')) as {
    name: string;
    body: OpenAI.ChatCompletionCreateParams;
  }[];

  test('is not said in the conversation, whether that is named or not', async () => {
    const headers = { 'X-Session-Id': 'page' };
    await say('[[SAY Hi]] First', { headers });
    for (const { body } of requests) {
      await door.openai.chat.completions.create({ ...body, model: door.agentId, stream: false });
      await door.openai.chat.completions.create({ ...body, model: door.agentId, stream: false }, { headers });
    }
    await say('[[SAY Ho]] Last', { headers });
    const { messages } = await door.account.ok('GET', `${door.path}/messages?sessionId=page`);
    expect(messages.map(({ content }: { content: string }) => content)).toEqual([
      ...['[[SAY Hi]] First', 'Hi', '[[SAY Ho]] Last', 'Ho'],
    ]);
  });
});
