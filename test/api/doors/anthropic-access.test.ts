import {
  AuthenticationError,
  BadRequestError,
  ConflictError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { anthropicOperations } from '../../../api/doors/anthropic/operations.ts';
import { removeInstanceData } from '../../../database/instances/lifecycle/remove-instance.ts';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import { newInstance } from '../rows.ts';
import { said, startAnthropicDoor } from './anthropic-agent.ts';
import type { AnthropicDoor } from './anthropic-agent.ts';

let door: AnthropicDoor;

beforeAll(async () => {
  door = await startAnthropicDoor((await startScripted()).gateway, {
    MAX_INSTANCES_PER_ACCOUNT: '50',
    MODELS: JSON.stringify({
      first: { upstream: 'first', contextWindow: 256_000, maxTokens: 8_192 },
      second: { upstream: 'second', aliases: ['claude-opus-5-5'], contextWindow: 256_000, maxTokens: 8_192 },
    }),
  });
});
afterAll(() => door?.close());

const beta = () => door.anthropic.beta;
const post = (path: string, body: object) => door.anthropic.post(path, { body });
const newKey = async (limits: object) => (await door.account.ok('POST', '/auth/keys', { name: 'limited', ...limits })).apiKey;
const modelOf = async (sessionId: string) => {
  const [row] = await door.api.sql<{ id: string; model: string }>(
    'select a.id, a.model from claude_sessions s join agents a on a.id = s.agent_id where s.id = ?',
    [sessionId],
  );
  return row;
};

describe('an environment', () => {
  test('is an instance, which gives back what has no meaning for it', async () => {
    const config = { type: 'cloud' as const, networking: { type: 'unrestricted' as const } };
    const made = await beta().environments.create({ name: 'Build', config, description: 'For builds', metadata: { team: 'a' } });
    expect(made).toMatchObject({
      type: 'environment',
      name: 'Build',
      description: 'For builds',
      config,
      metadata: { team: 'a' },
    });
    expect(await beta().environments.retrieve(made.id)).toEqual(made);
    const instance = await door.account.ok('GET', `/instances/${made.id.replace('env_', 'inst_')}`);
    expect(instance).toMatchObject({ name: 'Build', status: 'provisioning', metadata: { team: 'a' } });
    const { data } = await beta().environments.list({ limit: 1 });
    expect(data.map(({ id }) => id)).toEqual([made.id]);
    const all = [];
    for await (const one of beta().environments.list({ limit: 1 })) all.push(one.id);
    expect(all).toEqual([made.id, door.environmentId]);
    expect(await beta().environments.delete(made.id)).toEqual({ id: made.id, type: 'environment_deleted' });
    await expect(beta().environments.retrieve(made.id)).rejects.toBeInstanceOf(NotFoundError);
  });

  test.each([
    [{ name: '' }, 'name'],
    [{ name: 'a', config: { type: 'self_hosted' } }, 'config.type'],
    [{ name: 'a', config: { type: 'cloud', networking: { type: 'limited', allowed_hosts: [] } } }, 'config.networking.type'],
    [{ name: 'a', config: { type: 'cloud', packages: { pip: ['numpy'] } } }, 'config.packages'],
  ])('that cannot be had is 400, naming the field: %j', async (body, field) => {
    const refused = post('/v1/environments', body);
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    await expect(refused).rejects.toThrow(field);
  });
});

describe('an agent', () => {
  test('has versions: an update makes the next one, a stale version is 409, and an archived one opens no session', async () => {
    const tools = [{ type: 'agent_toolset_20260401' as const }];
    const made = await beta().agents.create({
      name: 'Reviewer',
      model: 'first',
      system: 'Be strict.',
      tools,
      metadata: { a: '1' },
    });
    expect(made).toMatchObject({ version: 1, tools, mcp_servers: [], skills: [], multiagent: null, archived_at: null });
    const changed = await beta().agents.update(made.id, { version: 1, system: 'Be kind.', metadata: { a: null, b: '2' } });
    expect(changed).toMatchObject({ version: 2, name: 'Reviewer', system: 'Be kind.', metadata: { b: '2' } });
    await expect(beta().agents.update(made.id, { version: 1, name: 'Other' })).rejects.toBeInstanceOf(ConflictError);
    expect(await beta().agents.retrieve(made.id)).toEqual(changed);
    const archived = await beta().agents.archive(made.id);
    expect(archived.archived_at).toEqual(expect.any(String));
    const ids = async (params: object) => (await beta().agents.list(params)).data.map(({ id }) => id);
    expect([(await ids({})).includes(made.id), (await ids({ include_archived: true })).includes(made.id)]).toEqual([false, true]);
    const opening = beta().sessions.create({ agent: made.id, environment_id: door.environmentId });
    await expect(opening).rejects.toBeInstanceOf(BadRequestError);
  });

  test('is one agent of an environment, however many sessions it has, with its newest version', async () => {
    const { id } = await beta().agents.create({ name: 'Writer', model: 'claude-opus-5-5', system: 'Write well.' });
    const open = async () => modelOf((await beta().sessions.create({ agent: id, environment_id: door.environmentId })).id);
    const first = await open();
    expect(first?.model).toBe('second');
    await beta().agents.update(id, { system: 'Write better.' });
    expect(await open()).toEqual(first);
    const [file] = await door.api.sql<{ content: string }>(
      `select content from agent_files where agent_id = ? and path = 'AGENTS.md'`,
      [first?.id],
    );
    expect(file?.content).toBe('Write better.');
    await beta().agents.update(id, { model: 'nobody-has-this' });
    const last = await open();
    expect([last?.model, last?.id === first?.id]).toEqual(['first', false]);
  });

  test('is made once by two sessions that are opened at once', async () => {
    const { id } = await beta().agents.create({ name: 'Twice', model: 'first' });
    const opened = await Promise.all(
      [1, 2, 3].map(() => beta().sessions.create({ agent: id, environment_id: door.environmentId })),
    );
    const agents = await Promise.all(opened.map(async (one) => (await modelOf(one.id))?.id));
    expect(new Set(agents).size).toBe(1);
  });

  test.each([
    [{ tools: [{ type: 'custom', name: 'a', input_schema: {} }] }, 'tools'],
    [{ tools: [{ type: 'mcp_toolset', mcp_server_name: 'a' }] }, 'tools'],
    [{ tools: [{ type: 'agent_toolset_20260401', default_config: { permission_policy: { type: 'always_ask' } } }] }, 'tools'],
    [{ mcp_servers: [{ type: 'url', name: 'a', url: 'https://example.com' }] }, 'mcp_servers'],
    [{ skills: [{ type: 'anthropic', skill_id: 'xlsx' }] }, 'skills'],
    [{ multiagent: { type: 'coordinator', agents: [] } }, 'multiagent'],
    [{ execution_identity: { type: 'service_account' } }, 'execution_identity'],
    [{ model: '' }, 'model'],
  ])('that cannot be had is 400, naming the field: %j', async (given, field) => {
    const refused = post('/v1/agents', { name: 'a', model: 'first', ...given });
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    await expect(refused).rejects.toThrow(field);
  });
});

describe('a session', () => {
  test.each([
    [{ vault_ids: ['vlt_a'] }, 'vault_ids'],
    [{ resources: [{ type: 'file', file_id: 'a' }] }, 'resources'],
    [{ agent: { type: 'agent_with_overrides', id: 'agent_a' } }, 'agent'],
  ])('that cannot be had is 400, naming the field: %j', async (given, field) => {
    const { id } = await beta().agents.create({ name: 'a', model: 'first' });
    const refused = post('/v1/sessions', { agent: id, environment_id: door.environmentId, ...given });
    await expect(refused).rejects.toBeInstanceOf(BadRequestError);
    await expect(refused).rejects.toThrow(field);
  });

  test('is listed, the newest first', async () => {
    const { id } = await beta().agents.create({ name: 'a', model: 'first' });
    const opened = [];
    for (const title of ['One', 'Two'])
      opened.push(await beta().sessions.create({ agent: { type: 'agent', id }, environment_id: door.environmentId, title }));
    const { data } = await beta().sessions.list({ limit: 2 });
    expect(data.map((one) => one.title)).toEqual(['Two', 'One']);
    expect(data[1]).toEqual(opened[0]);
  });
});

describe('a session of another environment', () => {
  test('is gone with it, and removed with its instance', async () => {
    const environment = await beta().environments.create({ name: 'Short' });
    const { id: agent } = await beta().agents.create({ name: 'a', model: 'first' });
    const { id } = await beta().sessions.create({ agent, environment_id: environment.id });
    await beta().environments.delete(environment.id);
    await expect(beta().sessions.retrieve(id)).rejects.toBeInstanceOf(NotFoundError);
    expect((await beta().sessions.list({ limit: 1 })).data).toEqual([]);
    await removeInstanceData(door.api.orm.em.fork(), environment.id.replace('env_', 'inst_'), new AbortController().signal);
    expect(await door.api.sql('select id from claude_sessions where id = ?', [id])).toEqual([]);
    expect(await door.api.sql('select version from claude_agent_places where claude_agent_id = ?', [agent])).toEqual([]);
  });

  test('that starts has its first message waiting, and idle until then', async () => {
    const sessionId = await door.openSession();
    const set = (status: string) =>
      door.api.sql(`update instances set status = ? where id = ? returning id`, [status, door.instanceId]);
    await set('provisioning');
    let isSent = false;
    const sending = beta()
      .sessions.events.send(sessionId, { events: [said('[[SAY Hello]]')] })
      .then(() => (isSent = true));
    expect((await beta().sessions.retrieve(sessionId)).status).toBe('idle');
    expect(isSent).toBe(false);
    await set('running');
    expect(await sending).toBe(true);
  });
});

describe('a caller', () => {
  test('sends the key as bearer token or x-api-key, and reads the id of the request', async () => {
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${door.baseURL}/v1/agents?beta=true`, { headers })).status;
    expect(await status({ authorization: `Bearer ${door.apiKey}` })).toBe(200);
    expect(await status({ 'x-api-key': door.apiKey, 'anthropic-version': '2023-06-01' })).toBe(200);
    const { request_id: requestId } = await beta().agents.create({ name: 'a', model: 'first' }).withResponse();
    expect(requestId).toMatch(/^req_/);
    const refused = door.clientWith({ apiKey: 'sk-ant-wrong' }).beta.agents.list();
    await expect(refused).rejects.toBeInstanceOf(AuthenticationError);
    await expect(refused).rejects.toMatchObject({ requestID: expect.stringMatching(/^req_/), type: 'authentication_error' });
  });

  test('needs the scope messages, for each operation', async () => {
    expect(new Set(anthropicOperations.map(({ scope }) => scope))).toEqual(new Set(['messages']));
    const reader = door.clientWith({ apiKey: await newKey({ scopes: ['read', 'write', 'secrets'] }) });
    await expect(reader.beta.agents.list()).rejects.toBeInstanceOf(PermissionDeniedError);
    const talker = door.clientWith({ apiKey: await newKey({ scopes: ['messages'] }) });
    expect((await talker.beta.agents.list()).data.length).toBeGreaterThan(0);
  });

  test('with a key of one instance has that environment and its sessions, and makes no other one', async () => {
    const instanceId = await newInstance(door.account);
    const limited = door.clientWith({ apiKey: await newKey({ instanceId }) });
    expect((await limited.beta.environments.list()).data.map(({ id }) => id)).toEqual([instanceId.replace('inst_', 'env_')]);
    await expect(limited.beta.environments.retrieve(door.environmentId)).rejects.toBeInstanceOf(NotFoundError);
    await expect(limited.beta.environments.create({ name: 'a' })).rejects.toBeInstanceOf(PermissionDeniedError);
    const sessionId = await door.openSession();
    await expect(limited.beta.sessions.retrieve(sessionId)).rejects.toBeInstanceOf(NotFoundError);
    expect((await limited.beta.sessions.list()).data).toEqual([]);
  });

  test('of another account finds nothing', async () => {
    const sessionId = await door.openSession();
    const stranger = await door.api.newAccount();
    const { apiKey } = await stranger.ok('POST', '/auth/keys', { name: 'stranger' });
    const other = door.clientWith({ apiKey }).beta;
    const [agent] = (await beta().agents.list()).data;
    for (const call of [
      () => other.environments.retrieve(door.environmentId),
      () => other.environments.delete(door.environmentId),
      () => other.agents.retrieve(agent?.id ?? ''),
      () => other.agents.update(agent?.id ?? '', { name: 'Mine' }),
      () => other.sessions.retrieve(sessionId),
      () => other.sessions.delete(sessionId),
      () => other.sessions.events.send(sessionId, { events: [said('Hello')] }),
      () => other.sessions.events.list(sessionId),
      () => other.sessions.events.stream(sessionId),
      () => other.sessions.create({ agent: agent?.id ?? '', environment_id: door.environmentId }),
    ])
      await expect(call()).rejects.toBeInstanceOf(NotFoundError);
  });

  test('has one limit of requests at every door', async () => {
    const limited = await startAnthropicDoor((await startScripted()).gateway, { RATE_LIMIT_PER_MINUTE: '10' });
    try {
      const calls = await Promise.allSettled(Array.from({ length: 11 }, () => limited.anthropic.beta.agents.list()));
      const refused = calls.find((call) => call.status === 'rejected');
      expect(refused?.reason).toBeInstanceOf(RateLimitError);
      expect(refused?.reason).toMatchObject({ type: 'rate_limit_error' });
    } finally {
      await limited.close();
    }
  });
});

describe('an error', () => {
  test.each([
    ['of an unknown path', '/v1/nothing', {}, 404, 'not_found_error'],
    ['of an unsupported method', '/v1/agents', { method: 'DELETE' }, 405, 'invalid_request_error'],
    ['of a body that is no JSON', '/v1/agents', { method: 'POST', body: '{' }, 400, 'invalid_request_error'],
  ])('%s has the form of Claude', async (_name, path, init, status, type) => {
    const headers = { authorization: `Bearer ${door.apiKey}`, 'content-type': 'application/json' };
    const response = await fetch(door.baseURL + path, { ...init, headers });
    const body = (await response.json()) as { request_id: string };
    expect([response.status, body]).toEqual([
      status,
      { type: 'error', error: expect.objectContaining({ type, message: expect.any(String) }), request_id: expect.any(String) },
    ]);
    expect([response.headers.get('request-id'), response.headers.get('x-should-retry')]).toEqual([body.request_id, 'false']);
  });

  test('is 402 billing_error when the account has no money, and 503 where the environment does not run', async () => {
    const sessionId = await door.openSession();
    const set = (status: string, nanoUsd: number) =>
      Promise.all([
        door.api.sql(`update instances set status = ?, desired_status = ? where id = ? returning id`, [
          status,
          status,
          door.instanceId,
        ]),
        door.api.sql('update accounts set balance_nano_usd = ? where id = ? returning id', [nanoUsd, door.account.accountId]),
      ]);
    const send = () => beta().sessions.events.send(sessionId, { events: [said('Hello')] });
    try {
      await set('stopped', 0);
      await expect(send()).rejects.toMatchObject({ status: 402, type: 'billing_error' });
      await set('stopped', 50_000_000_000);
      await expect(send()).rejects.toMatchObject({ status: 503, type: 'overloaded_error' });
    } finally {
      await set('running', 50_000_000_000);
    }
  });
});
