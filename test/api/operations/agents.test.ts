import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { applyContent, makeRunning, newAgent, newInstance, newTurn } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let instanceId: string;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  instanceId = await newInstance(account);
});

afterAll(() => api.close());

const agents = (id = instanceId) => `/instances/${id}/agents`;
const body = (fields: object = {}) => ({ name: 'support', slug: 'support-bot', displayName: 'Support Bot', ...fields });

async function refusal(fields: object) {
  const answer = await account.call('POST', agents(), body(fields));
  return [answer.status, answer.body.error?.details?.[0]?.path];
}

async function generation(id: string): Promise<{ content: number; applied: number }> {
  const [row] = await api.sql<{ content: number; applied: number }>(
    'select content_generation::float8 as content, applied_content_generation::float8 as applied from instances where id = ?',
    [id],
  );
  if (!row) throw new Error('no such instance');
  return row;
}

describe('agents.create', () => {
  test('counts the agents of an instance, also when they are made at once', async () => {
    const small = await startApi({ env: { MAX_AGENTS_PER_INSTANCE: '3' } });
    try {
      const owner = await small.newAccount();
      const path = agents(await newInstance(owner));
      const create = (slug: string) => owner.call('POST', path, body({ slug }));
      const answers = await Promise.all(Array.from({ length: 6 }, (_, index) => create(`agent-${index}`)));
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 201, 201, 409, 409, 409]);
      const [made, refused] = [201, 409].map((wanted) => answers.find(({ status }) => status === wanted)?.body);
      expect(refused.error.message).toBe('An instance can have at most 3 agents. Delete an agent first.');
      await owner.ok('DELETE', `${path}/${made.agentId}`);
      expect((await create('another')).status).toBe(201);
    } finally {
      await small.close();
    }
  });

  test('on an instance that does not run is pending until the next start, with the standard files', async () => {
    const before = await generation(instanceId);
    const { status, body: agent } = await account.call('POST', agents(), body());
    expect(status).toBe(201);
    expect(agent).toEqual({
      agentId: expect.stringMatching(/^agt_[a-z0-9]{12,}$/),
      name: 'support',
      slug: 'support-bot',
      displayName: 'Support Bot',
      model: 'moonshotai.kimi-k2.5',
      status: 'pending',
      metadata: {},
      createdAt: expect.any(String),
    });
    expect((await generation(instanceId)).content).toBe(before.content + 1);
    const { files } = await account.ok('GET', `${agents()}/${agent.agentId}`);
    expect(Object.keys(files).toSorted()).toEqual(['AGENTS.md', 'IDENTITY.md', 'SOUL.md', 'USER.md']);
    expect(files['IDENTITY.md']).toContain('Support Bot');
    const [row] = await api.sql<{ gateway_agent_id: string }>('select gateway_agent_id from agents where id = ?', [
      agent.agentId,
    ]);
    expect(row?.gateway_agent_id).toMatch(/^a[a-z0-9]{20}$/);
  });

  test('on a running instance answers when the gateway has it', async () => {
    const id = await newInstance(account);
    await makeRunning(api, id);
    const creating = account.call('POST', agents(id), body());
    await eventually(async () => expect(await generation(id)).toMatchObject({ content: 1 }));
    await applyContent(api, id);
    expect(await creating).toMatchObject({ status: 201, body: { status: 'active' } });
  });

  test('lets given files win over the standard ones, or stand alone', async () => {
    const given = { 'SOUL.md': 'Mine', 'notes/today.md': 'Zürich' };
    const first = await account.ok('POST', agents(), body({ slug: 'with-defaults', files: given }));
    const { files } = await account.ok('GET', `${agents()}/${first.agentId}`);
    expect(files).toMatchObject(given);
    expect(Object.keys(files)).toHaveLength(5);
    const second = await account.ok('POST', agents(), body({ slug: 'alone', files: given, useDefaults: false }));
    expect((await account.ok('GET', `${agents()}/${second.agentId}`)).files).toEqual(given);
  });

  test.each(['a', '-ab', 'ab-', 'Ab', 'a--b', 'main', 'default', 'x'.repeat(33), 'a_b', '1ab'])(
    'refuses the slug %s',
    async (slug) => {
      expect(await refusal({ slug })).toEqual([400, 'slug']);
    },
  );

  test('refuses an unknown model and names the allowed ones', async () => {
    const answer = await account.call('POST', agents(), body({ slug: 'other', model: 'gpt-none' }));
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toContain('anthropic.claude-sonnet-4-20250514-v1:0');
  });

  test.each(['/etc/passwd', '../up.md', 'a/../../b', './a', 'a//b', 'a/', '', 'C:\\x', 'a\\b', 'a\tb', 'x'.repeat(256)])(
    'refuses the file path %j',
    async (path) => {
      expect(await refusal({ slug: 'files', files: { [path]: 'x' } })).toEqual([400, path === '' ? 'files.' : `files.${path}`]);
    },
  );

  test('refuses persona files that would not all be in the prompt, with the numbers, and takes the largest that are', async () => {
    const { models } = await account.ok('GET', '/models');
    const { id: model, contextWindow } = models[1];
    const most = contextWindow / 2;
    const sized = (length: number) => ({
      ...{ slug: 'persona', model, useDefaults: false },
      files: { 'SOUL.md': 'x'.repeat(length - 10), 'MEMORY.md': 'x'.repeat(10), 'notes.md': 'x'.repeat(1_000) },
    });
    const { status, body: refused } = await account.call('POST', agents(), body(sized(most + 1)));
    expect([status, refused.error.details]).toEqual([
      400,
      [
        {
          path: 'files',
          message: expect.stringMatching(new RegExp(`${most + 1} characters.*${contextWindow} tokens.* ${most}\\.`)),
        },
      ],
    ]);
    expect(await refusal({ slug: 'persona', files: { 'USER.md': 'ü'.repeat(4_001) } })).toEqual([400, 'files.USER.md']);
    const { agentId } = await account.ok('POST', agents(), body(sized(most)));

    const patch = (files: object) => account.call('PATCH', `${agents()}/${agentId}`, { files });
    expect(await patch({ 'IDENTITY.md': 'x' })).toMatchObject({ status: 400, body: { error: { details: [{ path: 'files' }] } } });
    expect(await patch({ 'IDENTITY.md': 'x', 'MEMORY.md': null })).toMatchObject({ status: 200 });
    expect(await patch({ 'USER.md': 'x'.repeat(4_001), 'SOUL.md': null })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('at most 4000 characters, not 4001') } },
    });
    expect(await patch({ 'USER.md': 'x'.repeat(4_000), 'SOUL.md': null })).toMatchObject({ status: 200 });
  });

  test('persona files from a time with other limits keep nobody from changing other files', async () => {
    const { agentId } = await account.ok('POST', agents(), body({ slug: 'earlier' }));
    await api.sql(`update agent_files set content = ? where agent_id = ? and path = 'USER.md' returning path`, [
      'x'.repeat(5_000),
      agentId,
    ]);
    expect((await account.call('PATCH', `${agents()}/${agentId}`, { files: { 'notes.md': 'x' } })).status).toBe(200);
    expect((await account.call('PATCH', `${agents()}/${agentId}`, { files: { 'SOUL.md': 'x' } })).status).toBe(400);
  });

  test('refuses more than 64 files, 256 KiB in one, 1 MiB in all, and a file in the place of a folder', async () => {
    const many = (count: number, size = 1) =>
      Object.fromEntries(Array.from({ length: count }, (_none, index) => [`f${index}.md`, 'x'.repeat(size)]));
    expect(await refusal({ slug: 'files', useDefaults: false, files: many(65) })).toEqual([400, 'files']);
    expect(await refusal({ slug: 'files', files: many(61) })).toEqual([400, 'files']);
    expect(await refusal({ slug: 'files', files: { 'a.md': 'ü'.repeat(128 * 1024 + 1) } })).toEqual([400, 'files.a.md']);
    expect(await refusal({ slug: 'files', files: many(5, 250 * 1024) })).toEqual([400, 'files']);
    expect(await refusal({ slug: 'files', files: { notes: 'x', 'notes/a.md': 'y' } })).toEqual([400, 'files.notes/a.md']);
    const most = { slug: 'files', useDefaults: false, files: many(4, 256 * 1024) };
    expect((await account.call('POST', agents(), body(most))).status).toBe(201);
  });

  test('is 409 for a taken slug, also when two come at once, and free again after a delete', async () => {
    const id = await newInstance(account);
    const answers = await Promise.all([1, 2, 3].map(() => account.call('POST', agents(id), body())));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
    const { agentId } = answers.find(({ status }) => status === 201)?.body ?? {};
    await account.ok('DELETE', `${agents(id)}/${agentId}`);
    const again = await account.call('POST', agents(id), body());
    expect(again.status).toBe(201);
    const rows = await api.sql<{ name: string }>('select distinct gateway_agent_id as name from agents where instance_id = ?', [
      id,
    ]);
    expect(rows).toHaveLength(2);
  });

  test('is 409 on an instance that is being deleted', async () => {
    const id = await newInstance(account);
    await account.ok('DELETE', `/instances/${id}`);
    expect((await account.call('POST', agents(id), body())).status).toBe(409);
  });
});

describe('agents.list', () => {
  test('lists page by page what is not deleted', async () => {
    const id = await newInstance(account);
    const ids = [];
    for (const slug of ['one-a', 'two-b', 'three-c']) ids.push(await newAgent(account, id, slug));
    await account.ok('DELETE', `${agents(id)}/${ids[1]}`);
    const first = await account.ok('GET', `${agents(id)}?limit=1`);
    const second = await account.ok('GET', `${agents(id)}?limit=1&cursor=${first.nextCursor}`);
    expect([...first.agents, ...second.agents].map(({ slug }) => String(slug)).toSorted()).toEqual(['one-a', 'three-c']);
    expect(second.nextCursor).toBeNull();
  });
});

describe('agents.get', () => {
  test('is 404 below another instance of the same account', async () => {
    const [first, second] = [await newInstance(account), await newInstance(account)];
    const agentId = await newAgent(account, first);
    expect((await account.call('GET', `${agents(second)}/${agentId}`)).status).toBe(404);
    expect((await account.call('GET', `${agents(first)}/${agentId}`)).status).toBe(200);
  });
});

describe('agents.update', () => {
  test('merges files one by one; null removes one', async () => {
    const agentId = await newAgent(account, instanceId, 'merged');
    const path = `${agents()}/${agentId}`;
    const { body: changed, status } = await account.call('PATCH', path, {
      displayName: 'New name',
      files: { 'SOUL.md': 'Mine', 'USER.md': null, 'extra.md': '' },
    });
    expect(status).toBe(200);
    expect(changed).toMatchObject({ agentId, displayName: 'New name', name: 'support', status: 'pending' });
    expect(changed.files).toMatchObject({ 'SOUL.md': 'Mine', 'extra.md': '' });
    expect(Object.keys(changed.files).toSorted()).toEqual(['AGENTS.md', 'IDENTITY.md', 'SOUL.md', 'extra.md']);
    expect(await account.ok('GET', path)).toEqual(changed);
    const rows = await api.sql('select path, content from agent_files where agent_id = ? and path = ?', [agentId, 'USER.md']);
    expect(rows).toEqual([{ path: 'USER.md', content: null }]);
  });

  test('a new display name is in IDENTITY.md, unless that file was changed or is given', async () => {
    const { agentId } = await account.ok('POST', agents(), body({ slug: 'renamed', displayName: 'Lark' }));
    const patch = async (change: object) => (await account.ok('PATCH', `${agents()}/${agentId}`, change)).files['IDENTITY.md'];
    expect(await patch({ displayName: 'Nightingale' })).toContain('- Name: Nightingale\n');
    expect(await patch({ displayName: 'Owl', files: { 'IDENTITY.md': 'You are you.' } })).toBe('You are you.');
    expect(await patch({ displayName: 'Wren' })).toBe('You are you.');
  });

  test('refuses to change model or slug, and says so', async () => {
    const agentId = await newAgent(account, instanceId, 'fixed');
    for (const field of ['model', 'slug']) {
      const answer = await account.call('PATCH', `${agents()}/${agentId}`, { [field]: 'fixed' });
      expect([answer.status, answer.body.error.details[0].path]).toEqual([400, field]);
      expect(answer.body.error.message).toContain('cannot be changed');
    }
  });

  test('counts the files that are there already against the limits', async () => {
    const agentId = await newAgent(account, instanceId, 'limits');
    const files = Object.fromEntries(Array.from({ length: 61 }, (_none, index) => [`f${index}.md`, 'x']));
    expect((await account.call('PATCH', `${agents()}/${agentId}`, { files })).status).toBe(400);
    expect((await account.call('PATCH', `${agents()}/${agentId}`, { files: { ...files, 'SOUL.md': null } })).status).toBe(200);
  });

  test('changes nothing when nothing is given', async () => {
    const agentId = await newAgent(account, instanceId, 'nothing');
    const before = await generation(instanceId);
    expect((await account.call('PATCH', `${agents()}/${agentId}`, {})).status).toBe(200);
    expect(await generation(instanceId)).toEqual(before);
  });
});

describe('agents.delete', () => {
  test('is gone at once, and its turns end as cancelled with their event', async () => {
    const id = await newInstance(account);
    const agentId = await newAgent(account, id);
    await makeRunning(api, id);
    const { messageId } = await newTurn(api, { instanceId: id, agentId });
    const deleting = account.call('DELETE', `${agents(id)}/${agentId}`);
    await eventually(async () => {
      const [row] = await api.sql<{ status: string }>('select status from messages where id = ?', [messageId]);
      expect(row?.status).toBe('cancelled');
    });
    expect((await account.call('GET', `${agents(id)}/${agentId}`)).status).toBe(404);
    await applyContent(api, id);
    expect(await deleting).toMatchObject({ status: 200, body: { agentId, deleted: true } });
    const events = await api.sql('select type, error_code from events where message_id = ?', [messageId]);
    expect(events).toEqual([{ type: 'agent.error', error_code: 'cancelled' }]);
    expect((await account.call('DELETE', `${agents(id)}/${agentId}`)).status).toBe(404);
  });
});

describe('models.list', () => {
  test('lists the models of the settings, the default first', async () => {
    const { models } = await account.ok('GET', '/models');
    expect(models.map(({ id, isDefault }: { id: string; isDefault: boolean }) => [id, isDefault])).toEqual([
      ['moonshotai.kimi-k2.5', true],
      ['anthropic.claude-sonnet-4-20250514-v1:0', false],
    ]);
  });
});
