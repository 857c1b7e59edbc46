import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { putAttachments } from '../../api/operations/messages/put-attachments.ts';
import { removeLeftAttachments } from '../../api/operations/messages/remove-left-attachments.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { startApi } from './api-under-test.ts';
import type { AccountClient, ApiUnderTest } from './api-under-test.ts';
import { newRunningAgent } from './rows.ts';

const MEBIBYTE = 1024 ** 2;

let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let path: string;
let workspace: string;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '1000' } });
  account = await api.newAccount();
});
afterAll(() => api.close());
beforeEach(async () => {
  of = await newRunningAgent(api, account);
  path = `/instances/${of.instanceId}/agents/${of.agentId}`;
  const [row] = await api.sql<{ runtime: string; name: string }>(
    'select runtime_id as runtime, gateway_agent_id as name from agents join instances i on i.id = instance_id where agents.id = ?',
    [of.agentId],
  );
  workspace = join(layoutOf(api.dataDir, row?.runtime ?? '').stateDir, 'workspaces', row?.name ?? '');
  await mkdir(workspace, { recursive: true });
});

const base64 = (bytes: Buffer | string) => Buffer.from(bytes).toString('base64');
const attachment = (name: string, mediaType = 'text/plain', bytes: Buffer | string = 'hello') => {
  return { name, mediaType, data: base64(bytes) };
};
const send = (attachments: unknown, fields: object = {}, headers: Record<string, string> = {}) =>
  account.call('POST', `${path}/messages`, { message: 'Look', async: true, attachments, ...fields }, { headers });
const file = (name: string) => ({ name, mediaType: 'text/plain', content: Buffer.from('hello') });
const never = new AbortController().signal;
const inbox = () => readdir(join(workspace, 'inbox')).catch(() => []);
const filesInInbox = async () => (await promisify(execFile)('find', [join(workspace, 'inbox'), '-type', 'f'])).stdout;
const history = async () => (await account.ok('GET', `${path}/messages`)).messages;
/** What the agent is sent of its newest message. */
async function told(): Promise<string> {
  const [row] = await api.sql<{ text: string }>(
    `select coalesce(context || E'\\n\\n', '') || content as text from messages where agent_id = ? and role = 'user' order by number desc`,
    [of.agentId],
  );
  return row?.text ?? '';
}

describe('attachments of a message', () => {
  test('lie in the workspace before it is accepted, the agent is told where, and history names them', async () => {
    const image = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
    const given = [
      attachment('report.txt'),
      attachment('pics/My photo (1)', 'image/png', image),
      attachment('a.JPG', 'IMAGE/JPEG'),
    ];
    expect((await send(given)).status).toBe(202);
    const [{ messageId, attachments, content }] = await history();
    const folder = `inbox/${messageId}`;
    expect(content).toBe('Look');
    expect(attachments).toEqual([
      { name: 'report.txt', mediaType: 'text/plain', size: 5, path: `${folder}/report.txt` },
      { name: 'pics/My photo (1)', mediaType: 'image/png', size: 4, path: `${folder}/pics/My_photo__1_.png` },
      { name: 'a.JPG', mediaType: 'image/jpeg', size: 5, path: `${folder}/a.JPG` },
    ]);
    expect(await readFile(join(workspace, folder, 'pics/My_photo__1_.png'))).toEqual(image);
    const got = await account.raw('GET', `${path}/files/${attachments[0].path}`);
    expect(await got.text()).toBe('hello');
    expect(await told()).toBe(
      `Attached files, in your workspace:\n- ./${folder}/report.txt (text/plain, 5 bytes)\n` +
        `- ./${folder}/pics/My_photo__1_.png (image/png, 4 bytes)\n- ./${folder}/a.JPG (image/jpeg, 5 bytes)\n\nLook`,
    );
    expect(await account.ok('GET', `${path}/messages/${messageId}`)).toMatchObject({ attachments });
  });

  test('with the same name are kept apart by a number', async () => {
    expect((await send(['a b.txt', 'a_b.txt', 'a_b.txt', 'a_b-2.txt'].map((name) => attachment(name)))).status).toBe(202);
    const [{ messageId, attachments }] = await history();
    const paths = attachments.map((one: { path: string }) => one.path.replace(`inbox/${messageId}/`, ''));
    expect(paths).toEqual(['a_b.txt', 'a_b-2.txt', 'a_b-3.txt', 'a_b-2-2.txt']);
    expect((await readdir(join(workspace, 'inbox', messageId))).toSorted()).toEqual(paths.toSorted());
  });

  test('a message without any says nothing of them', async () => {
    expect((await send([])).status).toBe(202);
    expect((await history())[0]).not.toHaveProperty('attachments');
    expect(await told()).toBe('Look');
    expect(await inbox()).toEqual([]);
  });

  test('can be ten, and 10 MiB in all, and not more', async () => {
    const of10 = (size: number) => Array.from({ length: 10 }, (_, n) => attachment(`${n}`, 'a/b', Buffer.alloc(size)));
    expect((await send(of10(MEBIBYTE))).status).toBe(202);
    const eleven = await send([...of10(1), attachment('11')]);
    expect([eleven.status, eleven.body.error.details[0].path]).toEqual([400, 'attachments']);
    const large = await send([...of10(MEBIBYTE).slice(1), attachment('0', 'a/b', Buffer.alloc(MEBIBYTE + 1))]);
    expect([large.status, large.body.error.details]).toEqual([
      400,
      [{ path: 'attachments', message: 'The attachments of a message can have at most 10485760 bytes in total.' }],
    ]);
    expect((await inbox()).length).toBe(1);
  });

  test.each<[what: string, attachments: unknown, at: string]>([
    ['a name that leaves the workspace', [attachment('../x')], 'attachments.0.name'],
    ['an absolute name', [attachment('/etc/x')], 'attachments.0.name'],
    ['a name with a line end', [attachment('a\nb')], 'attachments.0.name'],
    ['no name', [attachment('')], 'attachments.0.name'],
    ['a name that is too long in its folder', [attachment('x/'.repeat(249))], 'attachments.0.name'],
    ['no media type', [attachment('a', 'text')], 'attachments.0.mediaType'],
    ['a media type with a line end', [attachment('a', 'text/plain\nx')], 'attachments.0.mediaType'],
    ['no base64', [{ ...attachment('a'), data: 'a' }], 'attachments.0.data'],
    ['base64 of URLs', [{ ...attachment('a'), data: '__-_' }], 'attachments.0.data'],
  ])('%s is 400 and stores nothing', async (_, attachments, at) => {
    const { status, body } = await send(attachments);
    expect([status, body.error.details?.[0].path]).toEqual([400, at]);
    expect([await inbox(), await history()]).toEqual([[], []]);
  });

  test('of a message that is refused go again', async () => {
    await mkdir(join(workspace, 'inbox'));
    expect((await send([attachment('a'), attachment('a/b')])).status).toBe(409);
    expect(await filesInInbox()).toBe('');
    await api.sql(`update instances set desired_status = 'stopped' where id = ? returning id`, [of.instanceId]);
    expect((await send([attachment('a.txt')])).body.error.code).toBe('instance_not_ready');
    expect(await filesInInbox()).toBe('');
  });

  test('of a message that is sent again under its Idempotency-Key are there once', async () => {
    const key = { 'idempotency-key': 'once' };
    const first = await send([attachment('a.txt')], {}, key);
    const again = await send([attachment('a.txt')], {}, key);
    expect([first.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([202, 202, 'true']);
    expect((await send([attachment('a.txt', 'text/plain', 'other')], {}, key)).status).toBe(409);
    expect([(await inbox()).length, (await history()).length]).toEqual([1, 2]);
  });

  test('of a message that was never accepted are removed with their folder an hour later, and those of others stay', async () => {
    await send([attachment('kept.txt')]);
    const owned = { accountId: account.accountId, ...of };
    const put = await putAttachments(api.orm.em.fork(), api.deps, owned, [file('a/b.txt'), file('c.txt')], never);
    const folder = join(workspace, 'inbox', put!.requestMessageId);
    expect((await readdir(folder)).toSorted()).toEqual(['a', 'c.txt']);
    await removeLeftAttachments(api.deps);
    expect(await inbox()).toHaveLength(2);
    await api.sql(`update waiting_attachments set created_at = now() - interval '61 minutes' returning request_message_id`);
    await Promise.all([removeLeftAttachments(api.deps), removeLeftAttachments(api.deps)]);
    const [{ messageId }] = await history();
    expect(await inbox()).toEqual([messageId]);
    expect(await api.sql('select request_message_id from waiting_attachments')).toEqual([]);
  });

  test('that are being removed belong to no message: it is 503 and can be sent again', async () => {
    await api.orm.em.fork().execute('alter table waiting_attachments alter column removing_at set default now()');
    const refused = await send([attachment('a.txt')]);
    await api.orm.em.fork().execute('alter table waiting_attachments alter column removing_at drop default');
    expect([refused.status, refused.body.error.code]).toEqual([503, 'unavailable']);
    expect([await history(), await inbox()]).toEqual([[], []]);
    expect((await send([attachment('a.txt')])).status).toBe(202);
  });

  test('need a workspace like all files, and a message without any does not', async () => {
    await rm(join(workspace, '../..'), { recursive: true });
    expect((await send([attachment('a.txt')])).body.error).toMatchObject({ code: 'instance_not_ready' });
    expect((await send([])).status).toBe(202);
  });

  test('stay as files when their conversation is deleted', async () => {
    await send([attachment('a.txt')], { sessionId: 's' });
    await account.ok('DELETE', `${path}/conversations/s`);
    expect(await inbox()).toHaveLength(1);
  });
});
