import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newInstance } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let instanceId: string;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  instanceId = await newInstance(account);
});

afterAll(() => api.close());

const path = (id = instanceId) => `/instances/${id}/skills`;
const custom = (fields: object = {}) => ({
  name: 'my-skill',
  description: 'Custom skill',
  files: { 'SKILL.md': '# My Skill\n...', 'scripts/run.py': '#!/usr/bin/env python3\n...' },
  ...fields,
});

async function refusal(fields: object) {
  const answer = await account.call('POST', path(), custom(fields));
  return [answer.status, answer.body.error?.details?.[0]?.path];
}

async function fileOf(id: string, name: string, file: string): Promise<string | undefined> {
  const rows = await api.sql<{ content: string }>(
    'select content from skill_files join instance_skills s on s.id = skill_id where instance_id = ? and name = ? and path = ?',
    [id, name, file],
  );
  return rows[0]?.content;
}

describe('skills.catalogue', () => {
  test('is a bare array of what the pinned OpenClaw bundles, for everybody', async () => {
    const skills = await api.nobody.ok('GET', '/skills');
    expect(skills.length).toBeGreaterThan(40);
    expect(skills).toContainEqual({
      id: 'weather',
      name: 'Weather',
      description: expect.stringContaining('weather'),
      type: 'built-in',
      requirements: { bins: [], anyBins: [], env: [], config: [], os: [] },
      missing: { bins: [], anyBins: [], config: [], os: [] },
      supported: true,
    });
    const trello = skills.find(({ id }: { id: string }) => id === 'trello');
    expect(trello.requirements.env).toEqual(['TRELLO_API_KEY', 'TRELLO_TOKEN']);
    const coding = skills.find(({ id }: { id: string }) => id === 'coding-agent');
    expect(coding).toMatchObject({ supported: false, missing: { config: ['skills.entries.coding-agent.enabled'] } });
  });
});

describe('skills.install', () => {
  test('takes a built-in skill by its id, pending until the next start', async () => {
    const { status, body } = await account.call('POST', path(), { name: 'weather', type: 'built-in' });
    expect([status, body]).toEqual([
      201,
      { name: 'weather', type: 'built-in', description: expect.stringContaining('weather'), status: 'pending' },
    ]);
  });

  test('takes a custom one as in the reference, and gives its SKILL.md the front matter without which it is not seen', async () => {
    const id = await newInstance(account);
    const { status, body } = await account.call('POST', path(id), custom());
    expect([status, body]).toEqual([201, { name: 'my-skill', type: 'custom', description: 'Custom skill', status: 'pending' }]);
    expect(await fileOf(id, 'my-skill', 'SKILL.md')).toBe(
      '---\nname: my-skill\ndescription: Custom skill\n---\n\n# My Skill\n...',
    );
    expect(await fileOf(id, 'my-skill', 'scripts/run.py')).toBe('#!/usr/bin/env python3\n...');
  });

  test('refuses a settings key that could not be one, and says which is', async () => {
    for (const skillKey of ['__proto__', 'a b', 'x'.repeat(65)]) {
      const manifest = `---\nmetadata: { "openclaw": { "skillKey": ${JSON.stringify(skillKey)} } }\n---\nBody`;
      const { status, body } = await account.call('POST', path(), custom({ files: { 'SKILL.md': manifest } }));
      expect([status, body.error.message]).toEqual([400, expect.stringContaining('skillKey')]);
    }
  });

  test('keeps what a front matter says, except that its name is the name that was given', async () => {
    const id = await newInstance(account);
    const text =
      '---\nname: weather\ndescription: "Own: words"\nmetadata: { "openclaw": { "skillKey": "own", "requires": { "env": ["MY_TOKEN", "lower", "PATH"] } } }\n---\nBody';
    const skill = await account.ok('POST', path(id), custom({ description: 'ignored', files: { 'SKILL.md': text } }));
    expect(skill.description).toBe('Own: words');
    expect(await fileOf(id, 'my-skill', 'SKILL.md')).toMatch(/^---\nname: my-skill\ndescription: "Own: words"\n/);
    const rows = await api.sql('select to_json(requires_env) as env, settings_key from instance_skills where instance_id = ?', [
      id,
    ]);
    expect(rows).toEqual([{ env: ['MY_TOKEN'], settings_key: 'own' }]);
  });

  test('answers on a running instance when the gateway has it', async () => {
    const id = await newInstance(account);
    await makeRunning(api, id);
    const installing = account.call('POST', path(id), custom());
    await eventually(async () =>
      expect(await api.sql('select content_generation::int as generation from instances where id = ?', [id])).toEqual([
        { generation: 1 },
      ]),
    );
    await api.sql(`update instance_skills set status = 'active' where instance_id = ? returning id`, [id]);
    await api.sql('update instances set applied_content_generation = content_generation where id = ? returning id', [id]);
    expect(await installing).toMatchObject({ status: 201, body: { status: 'active' } });
  });

  test('is 409 for a name that is taken, also when two come at once, and for a custom one with a built-in name', async () => {
    const id = await newInstance(account);
    const both = await Promise.all([1, 2].map(() => account.call('POST', path(id), custom())));
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409]);
    expect((await account.call('POST', path(id), custom({ name: 'weather' }))).status).toBe(409);
  });

  test.each([
    [{ name: 'nonsense', files: undefined }, 'name'],
    [{ name: 'Upper' }, 'name'],
    [{ name: '../up' }, 'name'],
    [{ name: 'x'.repeat(65) }, 'name'],
    [{ type: 'built-in' }, 'files'],
    [{ type: 'custom', files: undefined }, 'files'],
    [{ files: {} }, 'files'],
    [{ files: { 'skill.md': '#' } }, 'files'],
    [{ files: { 'SKILL.md': '---\nname: x\nno end' } }, 'files.SKILL.md'],
    [{ files: { 'SKILL.md': '---\n: [\n---\n' } }, 'files.SKILL.md'],
    [{ files: { 'SKILL.md': '---\n- a list\n---\n' } }, 'files.SKILL.md'],
    [{ files: { 'SKILL.md': 'x'.repeat(250 * 1024) } }, 'files.SKILL.md'],
  ])('refuses %.60j', async (fields, where) => {
    expect(await refusal(fields)).toEqual([400, where]);
  });

  test.each([
    '../x',
    '/etc/passwd',
    'a/../../b',
    './a',
    'a//b',
    'a/',
    '',
    'C:\\x',
    'a\\b',
    'a\tb',
    'x'.repeat(256),
    'a/'.repeat(300) + 'b',
  ])('refuses the path %.20j', async (file) => {
    expect(await refusal({ files: { 'SKILL.md': '#', [file]: 'x' } })).toEqual([400, `files.${file}`]);
  });

  test.each([
    [['a.md', 'A.md']],
    [['skill.md']],
    [['Scripts/a', 'scripts/b']],
    [['notes', 'notes/a']],
    [['notes/a', 'Notes']],
    [['\u00e9.md', 'e\u0301.md']],
  ])('refuses names that one disk takes for the same: %j', async (names) => {
    const files = Object.fromEntries(names.map((name) => [name, 'x']));
    const [status, where] = await refusal({ files: { 'SKILL.md': '#', ...files } });
    expect([status, names.map((name) => `files.${name}`).includes(String(where))]).toEqual([400, true]);
  });

  test('refuses ten thousand files, and more than 5 MiB, and takes just 5 MiB', async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_none, index) => [`f${index}`, 'x']));
    expect(await refusal({ files: { 'SKILL.md': '#', ...many } })).toEqual([400, 'files']);
    const large = (bytes: number) =>
      Object.fromEntries([['SKILL.md', '#'], ...[0, 1, 2, 3, 4].map((index) => [`f${index}`, 'x'.repeat(bytes)])]);
    expect(await refusal({ files: large(1024 ** 2) })).toEqual([400, 'files']);
    const id = await newInstance(account);
    expect((await account.call('POST', path(id), custom({ files: large(1024 ** 2 - 1) }))).status).toBe(201);
  });
});

describe('skills.list', () => {
  test('shows what is installed, by name', async () => {
    const id = await newInstance(account);
    await account.ok('POST', path(id), { name: 'weather' });
    await account.ok('POST', path(id), custom());
    const { skills } = await account.ok('GET', path(id));
    expect(skills.map(({ name, type }: { name: string; type: string }) => [name, type])).toEqual([
      ['my-skill', 'custom'],
      ['weather', 'built-in'],
    ]);
    const page = await account.ok('GET', `${path(id)}?limit=1`);
    expect((await account.ok('GET', `${path(id)}?cursor=${page.nextCursor}`)).skills).toHaveLength(1);
  });
});

describe('skills.delete', () => {
  test('removes a skill with its files, whose name is free again, and is 404 for what is not there', async () => {
    const id = await newInstance(account);
    await account.ok('POST', path(id), custom());
    expect(await account.ok('DELETE', `${path(id)}/my-skill`)).toEqual({ name: 'my-skill', deleted: true });
    expect(await fileOf(id, 'my-skill', 'SKILL.md')).toBeUndefined();
    expect((await account.call('DELETE', `${path(id)}/my-skill`)).status).toBe(404);
    expect((await account.call('POST', path(id), custom())).status).toBe(201);
  });
});
