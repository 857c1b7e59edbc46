import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Operation } from '../../api/contract/define-operation.ts';
import { operations } from '../../api/operations/index.ts';
import type { ApiClient } from '../support/api-client.ts';
import { startApi } from './api-under-test.ts';
import type { AccountClient, ApiUnderTest } from './api-under-test.ts';
import { newAgent, newInstance, makeRunning } from './rows.ts';

/** Values that look right and that PostgreSQL, UTF-8 or a calendar cannot hold. Each is 400 and names its field. */
let api: ApiUnderTest;
let owner: AccountClient;
let owned: Record<string, string>;

beforeAll(async () => {
  api = await startApi();
  owner = await api.newAccount();
  const instanceId = await newInstance(owner);
  const agentId = await newAgent(owner, instanceId);
  await makeRunning(api, instanceId);
  const { webhookId } = await owner.ok('POST', '/webhooks', { url: 'https://203.0.112.1/', events: ['*'] });
  const budget = { name: 'b', scope: { senderId: '*' }, period: 'day', limitUsd: '1.00' };
  const { budgetId } = await owner.ok('POST', '/budgets', budget);
  owned = { instanceId, agentId, webhookId, budgetId, accountId: owner.accountId };
});
afterAll(() => api.close());

const pathOf = ({ path }: Operation): string => path.replaceAll(/:(\w+)/g, (_match, name: string) => owned[name] ?? name);
const callerOf = ({ auth }: Operation): ApiClient => (auth === 'operator' ? api.operator : owner);
const named = (list: readonly Operation[]) => list.map((operation) => [operation.operationId, operation] as const);
const pathsOf = (body: { error: { details: { path: string }[] } }): string[] => body.error.details.map(({ path }) => path);

/** The name that each list has in its cursors. */
const LISTS: Record<string, string> = {
  'keys.list': 'keys',
  'instances.list': 'instances',
  'agents.list': 'agents',
  'files.list': 'files',
  'messages.list': 'messages',
  'conversations.list': 'conversations',
  'secrets.list': 'secrets',
  'skills.list': 'skills',
  'crons.list': 'crons',
  'webhooks.list': 'webhooks',
  'webhooks.deliveries.list': 'deliveries',
  'events.listOfInstance': 'instance-events',
  'billing.ledger': 'ledger',
  'budgets.list': 'budgets',
  'budgets.spend': 'spend',
  'accounts.list': 'accounts',
  'operator.instances.list': 'all-instances',
  'audit.list': 'audit',
  'invites.list': 'invites',
  'quarantine.list': 'quarantine',
  'runtimes.list': 'runtimes',
};

describe('a cursor that somebody made', () => {
  const paged = operations.filter(({ query }) => query && 'cursor' in query.shape);
  const now = 1_900_000_000_000;
  const hostile: unknown[] = [
    'a\0b',
    '\ud800',
    0,
    1e300,
    [now, 'a\0b'],
    [now, '\ud800'],
    [now, '\uFFFD'],
    [now, ''],
    [now, 'x'.repeat(65)],
    [8_640_000_000_000_000, 'x'],
    [253_402_300_800_000, 'x'],
    [-1, 'x'],
    [now, 'a\0b', 1, 0],
    [now, 'conv_x', 1e300, 0],
    [now, 'conv_x', 1, 2],
    [8_640_000_000_000_000, 'conv_x', 1, 0],
  ];

  const LONG = 'x'.repeat(200);
  /** Ids and names that clients give are long. */
  const hostileToo: Record<string, unknown[]> = {
    'budgets.spend': ['x'.repeat(2_049)],
    'files.list': ['../x', '/x', 'x'.repeat(256)],
  };

  test.each(named(paged))('of %s is refused where it names no place', async (operationId, operation) => {
    const list = LISTS[operationId];
    expect([operationId, list]).toEqual([operationId, expect.any(String)]);
    for (const position of [...hostile, ...(hostileToo[operationId] ?? [LONG])]) {
      const cursor = Buffer.from(JSON.stringify([list, position])).toString('base64url');
      const { status, body } = await callerOf(operation).call('GET', `${pathOf(operation)}?cursor=${cursor}`);
      expect([position, status, body.error?.details[0].path]).toEqual([position, 400, 'cursor']);
    }
  });

  test.each(named(paged))('of %s is taken up to the last place that there may be', async (operationId, operation) => {
    const last = [253_402_300_799_999, 'z'.repeat(64)];
    const places: Record<string, unknown> = {
      'messages.list': [...last, Number.MAX_SAFE_INTEGER, 1],
      'budgets.spend': 'z'.repeat(2_048),
      'files.list': `${'z'.repeat(255)}/${'z'.repeat(255)}/`,
      'secrets.list': 'Z',
      'skills.list': 'z',
      'events.listOfInstance': Number.MAX_SAFE_INTEGER,
    };
    const cursor = Buffer.from(JSON.stringify([LISTS[operationId], places[operationId] ?? last])).toString('base64url');
    expect((await callerOf(operation).call('GET', `${pathOf(operation)}?cursor=${cursor}`)).status).toBe(200);
  });
});

describe('a time', () => {
  test('is taken from 1970 to the end of 9999, whatever its offset is', async () => {
    const create = (expiresAt: string) => owner.call('POST', '/auth/keys', { name: 'timed', expiresAt });
    const { status, body } = await create('9999-12-31T23:59:59.999Z');
    expect([status, body.expiresAt]).toEqual([201, '9999-12-31T23:59:59.999Z']);
    for (const expiresAt of [
      '9999-12-31T23:59:59-00:01',
      '9999-12-31T12:00:00-23:59',
      '1970-01-01T00:00:00+00:01',
      '0000-01-01T00:00:00Z',
    ]) {
      const refused = await create(expiresAt);
      expect([expiresAt, refused.status, pathsOf(refused.body)]).toEqual([expiresAt, 400, ['expiresAt']]);
    }
  });

  test('in a range of usage may be the first or the last there is', async () => {
    for (const range of [
      'from=9999-12-31T00:00:00Z&to=9999-12-31T23:59:59.999Z',
      'from=1970-01-01T00:00:00Z&to=1970-01-02T00:00:00Z',
      'to=1970-01-01T00:00:00Z',
    ])
      expect([range, (await owner.call('GET', `/billing/usage?${range}`)).status]).toEqual([range, 200]);
    for (const range of ['to=9999-12-31T23:59:59-12:00', 'from=1969-12-31T23:59:59.999Z']) {
      const { status, body } = await owner.call('GET', `/billing/usage?${range}`);
      expect([range, status, pathsOf(body)]).toEqual([range, 400, [range.slice(0, range.indexOf('='))]]);
    }
  });

  test('whose + was not escaped in a query is refused with a sentence that says so', async () => {
    const message = 'In a URL, write the + of the offset as %2B, such as 2026-04-07T09:00:00%2B02:00.';
    for (const path of ['/billing/usage', `/instances/${owned['instanceId']}/usage`]) {
      for (const name of ['from', 'to']) {
        const { status, body } = await owner.call('GET', `${path}?${name}=2026-04-07T09:00:00.000+02:00`);
        expect([status, body.error.details]).toEqual([400, [{ path: name, message }]]);
      }
      expect((await owner.call('GET', `${path}?from=2026-04-07T09:00:00%2B02:00&to=2026-04-08T09:00:00Z`)).status).toBe(200);
      const { body } = await owner.call('GET', `${path}?from=yesterday`);
      expect(body.error.details[0].message).not.toContain('%2B');
    }
  });
});

describe('a text that cannot be stored as it is', () => {
  const bad = {
    'half of a pair': '\ud83d',
    'the other half': 'x\ude00y',
    'a pair in the wrong order': '\ude00\ud83d',
    NUL: 'a\0b',
  };

  test.each(Object.entries(bad))('(%s) is refused in any field of a body, which is named', async (_what, text) => {
    const { agentId, instanceId, webhookId } = owned;
    const agent = `/instances/${instanceId}/agents/${agentId}`;
    for (const [method, path, body, field] of [
      ['POST', '/auth/keys', { name: text }, 'name'],
      ['POST', '/instances', { name: 'x', more: [{ deep: 'x' }, { deep: text }] }, 'more.1.deep'],
      ['POST', `${agent}/messages`, { message: text, sender: { id: 'x' } }, 'message'],
      ['POST', `${agent}/messages`, { message: 'x', sender: { id: 'x', name: text } }, 'sender.name'],
      ['PATCH', agent, { files: { 'SOUL.md': text } }, 'files.SOUL.md'],
      ['PATCH', agent, { files: { [`notes/${text}.md`]: 'x' } }, 'files'],
      ['POST', `/instances/${instanceId}/skills`, { name: 'mine', files: { 'SKILL.md': 'x', [text]: 'x' } }, 'files'],
      ['POST', `/instances/${instanceId}/secrets`, { secrets: { TOKEN: text } }, 'secrets.TOKEN'],
      ['PATCH', `/webhooks/${webhookId}`, { description: text }, 'description'],
      ['POST', '/auth/login', { [text]: 'x' }, 'body'],
    ] as const) {
      const answer = await owner.call(method, path, body);
      expect([path, answer.status, pathsOf(answer.body)]).toEqual([path, 400, [field]]);
    }
  });

  test('is found in the first field that has it, however deep and wide the body is', async () => {
    const wide = `[${Array.from({ length: 15_000 }, () => '"x"').join(',')},"\\ud800","\\u0000"]`;
    const deep = `${'{"a":'.repeat(60)}"\\uD800"${'}'.repeat(60)}`;
    for (const [bytes, path] of [
      [`{"name":"x","list":${wide}}`, 'list.15000'],
      [`{"name":"x","deep":${deep}}`, `deep${'.a'.repeat(60)}`],
    ] as const) {
      const answer = await fetch(`${api.url}/v1/instances`, {
        method: 'POST',
        headers: { authorization: `Bearer ${owner.token}`, 'content-type': 'application/json' },
        body: bytes,
      });
      expect([answer.status, pathsOf(JSON.parse(await answer.text()))]).toEqual([400, [path]]);
    }
  });

  test('is no whole pair, and no escape of a backslash', async () => {
    for (const name of ['\u{1F600}', '\\ud83d', '\\u0000', '\uFFFD'])
      expect((await owner.ok('POST', '/auth/keys', { name })).name).toBe(name);
    const escaped = await fetch(`${api.url}/v1/auth/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${owner.token}`, 'content-type': 'application/json' },
      body: '{"name":"\\ud83d\\ude00"}',
    });
    expect(JSON.parse(await escaped.text()).name).toBe('\u{1F600}');
  });

  test('is refused in a parameter of a query that the operation reads', async () => {
    const { instanceId, agentId } = owned;
    const messages = `/instances/${instanceId}/agents/${agentId}/messages`;
    for (const value of ['a%00b', '%ED%A0%BD', '%FF', '%E0%A4%A', '%C3']) {
      for (const [path, name] of [
        [messages, 'sessionId'],
        [`/instances/${instanceId}/events`, 'agent'],
      ] as const) {
        const { status, body } = await owner.call('GET', `${path}?${name}=${value}`);
        expect([value, status, pathsOf(body)]).toEqual([value, 400, [name]]);
      }
      expect((await owner.call('GET', `${messages}?unknown=${value}`)).status).toBe(200);
    }
    for (const value of ['%F0%9F%98%80', '%EF%BF%BD', '100%', '%zz'])
      expect([value, (await owner.call('GET', `${messages}?sessionId=${value}`)).status]).toEqual([value, 200]);
  });
});

describe('a name', () => {
  const control = ['a\nb', 'a\rb', 'a\tb', 'a\u0000b', 'a\u001bb', 'a\u007fb', 'a\u0085b', 'a\u2028b', 'a\u2029b'];
  const invisible = [
    ' ',
    '\n',
    '\u200b',
    '\u200d\u200d',
    '\u2060',
    '\u00ad',
    '\u3164',
    '\u2800',
    '\ufe0f',
    '\u202e',
    '\ue000',
    '\u{e0020}',
  ];

  test('that has line ends or control characters, or shows nothing, is refused wherever a name is given', async () => {
    const { instanceId, agentId } = owned;
    const agent = `/instances/${instanceId}/agents/${agentId}`;
    const schedule = { kind: 'every', everyMs: 60_000 };
    for (const [method, path, field, rest] of [
      ['POST', '/auth/register', 'name', { email: 'x@example.com', inviteCode: 'x' }],
      ['POST', '/auth/keys', 'name', {}],
      ['POST', '/instances', 'name', {}],
      ['POST', `/instances/${instanceId}/agents`, 'name', { slug: 'odd', displayName: 'x' }],
      ['POST', `/instances/${instanceId}/agents`, 'displayName', { slug: 'odd', name: 'x' }],
      ['PATCH', agent, 'name', {}],
      ['PATCH', agent, 'displayName', {}],
      ['POST', `${agent}/crons`, 'name', { schedule, message: 'x' }],
    ] as const)
      for (const name of [...control, ...invisible]) {
        const { status, body } = await owner.call(method, path, { ...rest, [field]: name });
        expect([path, name, status, pathsOf(body)]).toEqual([path, name, 400, [field]]);
        expect(body.error.details[0].message).toMatch(/^(Leave out|Use at least 1 character)/);
      }
  });

  test('of who speaks to an agent is refused for the same', async () => {
    const path = `/instances/${owned['instanceId']}/agents/${owned['agentId']}/messages`;
    for (const name of [...control, ...invisible]) {
      const { status, body } = await owner.call('POST', path, { message: 'x', sender: { id: 'x', name } });
      expect([name, status, pathsOf(body)]).toEqual([name, 400, ['sender.name']]);
    }
  });

  test('may be of any script, with joined and combined characters, and blanks around it are left out', async () => {
    for (const name of [
      '\u65e5\u672c',
      '\u{1F468}\u200d\u{1F469}',
      'e\u0301',
      '\u0645\u06cc\u200c\u062e',
      '\u2764\ufe0f',
      '.',
      '\u{20000}',
    ])
      expect((await owner.ok('POST', '/auth/keys', { name: ` ${name}\n` })).name).toBe(name);
  });
});
