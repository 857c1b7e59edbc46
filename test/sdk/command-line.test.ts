import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { takeDropped } from '../../sdk/typescript/cli/attachments.ts';
import { newLines } from '../../sdk/typescript/cli/commands/chat.ts';
import { OPERATOR_TOKEN } from '../api/api-under-test.ts';
import { eventually } from '../support/eventually.ts';
import { startSdk } from './sdk-under-test.ts';
import type { SdkUnderTest } from './sdk-under-test.ts';
import { openTerminal } from './terminal.ts';
import { removeFolder } from '../support/remove-folder.ts';

const PROGRAM = join(import.meta.dirname, '../../sdk/typescript/cli/main.ts');

let sdk: SdkUnderTest;
let home: string;
let env: Record<string, string>;
beforeAll(async () => {
  [sdk, home] = await Promise.all([startSdk(), mkdtemp(join(tmpdir(), 'command-line-'))]);
  env = { THERMIDORA_URL: sdk.baseUrl, THERMIDORA_API_KEY: sdk.apiKey };
  await writeFile(join(home, 'my plan.md'), '# Plan');
});
beforeEach(() => sdk.proxy.expect());
afterAll(async () => {
  await sdk?.close();
  await removeFolder(home);
});

function start(args: string[], given: Record<string, string> = env): ChildProcess {
  const all = { PATH: process.env['PATH'], XDG_CONFIG_HOME: home, ...given };
  return spawn(process.execPath, [PROGRAM, ...args], { cwd: home, env: all, stdio: ['pipe', 'pipe', 'pipe'] });
}

interface Ended {
  code: number | null;
  output: string;
  problems: string;
}

async function run(args: string[], options: { input?: string; env?: Record<string, string> } = {}): Promise<Ended> {
  const child = start(args, options.env);
  child.stdin!.end(options.input ?? '');
  const [output, problems] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
  return { code: child.exitCode, output, problems };
}

/** What a command prints, which must end well. */
async function ok(args: string[], options: { input?: string; env?: Record<string, string> } = {}): Promise<string> {
  const { code, output, problems } = await run(args, options);
  expect([problems, code]).toEqual(['', 0]);
  return output;
}

describe('signing in', () => {
  test('console shows a link to the console of this API that signs in once', async () => {
    const { link } = JSON.parse(await ok(['--json', 'console']));
    const { origin, pathname, hash } = new URL(link);
    expect([origin, pathname]).toEqual([new URL(sdk.baseUrl).origin, '/console/']);
    const enter = async () => {
      const headers = { 'content-type': 'application/json', 'x-thermidora-console': '1', origin };
      const body = JSON.stringify({ link: hash.replace('#link=', '') });
      return (await fetch(`${origin}/console/session`, { method: 'POST', headers, body })).status;
    };
    expect([await enter(), await enter()]).toEqual([200, 401]);
  });

  test('login asks for the address and the code of the mail, and keeps the token for this user alone until logout', async () => {
    const login = { THERMIDORA_URL: sdk.baseUrl };
    const person = await sdk.api.newAccount();
    const child = start(['login'], login);
    let asked = '';
    child.stderr!.on('data', (chunk: Buffer) => (asked += chunk.toString()));
    const output = text(child.stdout!);
    child.stdin!.write(`${person.email}\n`);
    await eventually(() => expect(asked).toContain('Code that was sent to'));
    child.stdin!.end(`${await sdk.api.mailbox.codeFor(person.email)}\n`);
    expect(await output).toContain(person.accountId);
    expect((await stat(join(home, 'thermidora/login.json'))).mode & 0o777).toBe(0o600);
    expect(await ok(['whoami'], { env: login })).toContain(person.email);
    // A token goes to the API that has issued it alone.
    const elsewhere = await run(['whoami'], { env: { THERMIDORA_URL: 'http://127.0.0.1:1/v1' } });
    expect(elsewhere).toMatchObject({ code: 3, problems: expect.stringContaining('thermidora login') });
    await ok(['logout'], { env: login });
    expect(await run(['whoami'], { env: login })).toMatchObject({ code: 3 });
  });
});

describe('a mistake is one sentence without a stack, and its exit code says of which kind it is', () => {
  test.each([
    ['an unknown command', ['instnces'], 2, /unknown command/],
    ['a missing argument', ['agents', 'list'], 2, /missing required argument/],
    ['a field that the API refuses', ['instances', 'create', ' '], 2, /name: /],
    ['a thing that is not there', ['instances', 'get', 'inst_nothingnothing00'], 4, /not found.*req_/i],
    ['a name that is not there', ['instances', 'get', 'nothing'], 4, /There is no instance named nothing/],
    ['an id that would lead elsewhere', ['keys', 'revoke', '..'], 1, /cannot be an id/],
  ])('%s', async (_kind, args, code, sentence) => {
    const ended = await run(args);
    expect(ended).toMatchObject({ code, output: '', problems: expect.stringMatching(sentence) });
    expect(ended.problems).not.toMatch(/\n\s+at /);
  });

  test('a key that is not valid, and an API that does not answer', async () => {
    const wrong = { ...env, THERMIDORA_API_KEY: 'tc_live_wrong' };
    expect(await run(['whoami'], { env: wrong })).toMatchObject({ code: 3, problems: expect.stringContaining('req_') });
    const lost = Array.from({ length: 5 }, () => ({ kind: 'lose-request' }) as const);
    sdk.proxy.expect(...lost);
    const ended = await run(['whoami']);
    expect(ended).toMatchObject({ code: 5, problems: expect.stringContaining('The API did not answer') });
    expect(ended.problems).not.toMatch(/\n\s+at /);
  });
});

test('things are listed as a table, or as JSON, and found by their names as well as by their ids', async () => {
  const table = await ok(['instances', 'list']);
  expect(table.split('\n')[0]).toMatch(/^ID +NAME +STATUS/);
  expect(table).toContain(sdk.instanceId);
  expect(JSON.parse(await ok(['instances', 'list', '--json']))).toMatchObject([{ instanceId: sdk.instanceId, name: 'mine' }]);
  expect(JSON.parse(await ok(['agents', 'get', 'mine', 'support-bot', '--json']))).toMatchObject({ agentId: sdk.agentId });
  const created = JSON.parse(await ok(['instances', 'create', 'other', '--json']));
  expect(await ok(['instances', 'delete', created.instanceId])).toContain('destroying');
  expect(await ok(['usage', '--by', 'agent'])).toMatch(/AGENT|Nothing was used/);
});

test('files of an agent are put, listed, got and removed, byte for byte', async () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => n % 251));
  await writeFile(join(home, 'plan v1.bin'), bytes);
  const put = await ok(['files', 'put', 'mine', 'support-bot', 'plan v1.bin', 'out/Plan Ü.bin', '--json']);
  expect(JSON.parse(put)).toMatchObject({ path: 'out/Plan Ü.bin', size: bytes.length });
  expect(await ok(['files', 'list', 'mine', 'support-bot', 'out/'])).toMatch(/^PATH +SIZE +CHANGED\nout\/Plan Ü.bin +300000 /);
  expect(await ok(['files', 'get', 'mine', 'support-bot', 'out/Plan Ü.bin'])).toMatch(/size +300000/);
  expect((await readFile(join(home, 'Plan Ü.bin'))).equals(bytes)).toBe(true);
  expect(await ok(['files', 'rm', 'mine', 'support-bot', 'out/Plan Ü.bin'])).toMatch(/deleted +true/);
  expect(await run(['files', 'get', 'mine', 'support-bot', 'out/Plan Ü.bin'])).toMatchObject({ code: 4, output: '' });
  expect(await run(['files', 'put', 'mine', 'support-bot', 'none.bin'])).toMatchObject({
    problems: 'none.bin is not a file that can be read.\n',
  });
});

test('a secret is read from the input and never shown', async () => {
  const stored = await ok(['secrets', 'set', 'mine', 'SLACK_TOKEN'], { input: 'xoxb-secret\n' });
  expect(stored).toMatch(/stored +1/);
  expect(await ok(['secrets', 'list', 'mine'])).toBe('KEY\nSLACK_TOKEN\n');
  await sdk.api.sql(`update instances set transition_kind = null, transition_started_at = null where id = ? returning id`, [
    sdk.instanceId,
  ]);
});

test('chat writes the reply to a message of the arguments or the input, without what would control the terminal', async () => {
  expect(await ok(['chat', 'mine', 'support-bot', '[[SAY Hello.]]'])).toBe('Hello.\n');
  expect(await ok(['chat', 'mine', 'support-bot', '--session', 'piped'], { input: '[[SAY From\nthe input.]]' })).toContain(
    'From',
  );
  expect(await ok(['chat', 'mine', 'support-bot', '[[SAY \u001b]0;owned\u0007red\u009b31m]]'])).toBe(']0;ownedred31m\n');
  expect(JSON.parse(await ok(['chat', 'mine', 'support-bot', '[[SAY Hello.]]', '--json']))).toMatchObject({ content: 'Hello.' });
});

test('files go with a message, given by name or dropped at the beginning of a line', async () => {
  const seen = () => sdk.account.ok('GET', `/instances/${sdk.instanceId}/agents/${sdk.agentId}/messages?limit=10`);
  const attached = async (content: string) =>
    (await seen()).messages
      .find((one: { content: string }) => one.content === content)
      ?.attachments?.map((one: { name: string }) => one.name);
  await ok(['chat', 'mine', 'support-bot', 'Read the plan', '--attach', 'my plan.md']);
  expect(await attached('Read the plan')).toEqual(['my plan.md']);
  expect(await run(['chat', 'mine', 'support-bot', 'x', '--attach', 'nothing.md'])).toMatchObject({
    code: 2,
    problems: 'nothing.md is not a file that can be read.\n',
  });
  const path = join(home, 'my plan.md');
  expect(await takeDropped(`'${path}' ${path.replaceAll(' ', '\\ ')}  what of ${home}?`)).toEqual({
    paths: [path, path],
    text: `what of ${home}?`,
  });
  expect(await takeDropped(`file://${path.replaceAll(' ', '%20')}`)).toEqual({ paths: [path], text: '' });
  expect(await takeDropped('/etc is a folder')).toEqual({ paths: [], text: '/etc is a folder' });
});

test('chat at a terminal: lines, dropped files, an interrupt that ends the reply, and an end', async () => {
  const terminal = openTerminal([process.execPath, PROGRAM, 'chat', 'mine', 'support-bot'], {
    cwd: home,
    env: { ...env, PATH: process.env['PATH'] ?? '', XDG_CONFIG_HOME: home, TERM: 'xterm' },
  });
  try {
    await terminal.shows('> ');
    terminal.type('[[SAY First of all.]]\\\n');
    await terminal.shows('> ');
    terminal.type('and more\n');
    await terminal.shows('First of all.\r\n');
    await terminal.shows('> ');
    terminal.type(`${join(home, 'my plan.md').replaceAll(' ', '\\ ')} [[SAY With the plan.]]\n`);
    await terminal.shows('Attached: my plan.md');
    await terminal.shows('With the plan.\r\n');
    await terminal.shows('> ');
    terminal.type('[[SAY Never said in full.]][[HOLD terminal 2]]\n');
    await terminal.shows('\nNever said');
    terminal.type('\u0003');
    await terminal.shows('> ');
    terminal.type('[[SAY It goes on.]]\n');
    await terminal.shows('It goes on.\r\n');
    await terminal.shows('> ');
    terminal.type('\u0004');
    expect(await terminal.ended).toBe(0);
    expect(terminal.screen()).not.toMatch(/\n\s+at /);
    const kept = join(home, 'thermidora/chat-history');
    expect((await readFile(kept, 'utf8')).split('\n')[0]).toBe('[[SAY It goes on.]]');
    expect((await stat(kept)).mode & 0o777).toBe(0o600);
  } finally {
    terminal.kill();
  }
});

test('what was typed in a chat is there in the next one, by the arrow keys', async () => {
  const chat = () =>
    openTerminal([process.execPath, PROGRAM, 'chat', 'mine', 'support-bot'], {
      cwd: home,
      env: { ...env, PATH: process.env['PATH'] ?? '', XDG_CONFIG_HOME: home, TERM: 'xterm' },
    });
  const first = chat();
  try {
    await first.shows('> ');
    first.type('[[SAY Said once.]]\n');
    await first.shows('Said once.\r\n');
    await first.shows('> ');
    first.type('\u0004');
    expect(await first.ended).toBe(0);
    const third = chat();
    try {
      await third.shows('> ');
      third.type('\u001b[A');
      await third.shows('[[SAY Said once.]]');
    } finally {
      third.kill();
    }
  } finally {
    first.kill();
  }
});

test('a budget is created, listed with its spending, changed and deleted', async () => {
  const id = await budgetOf(['--for', 'senderId=*', '--limit', '2.50', '--period', 'day', '--warn-at', '50']);
  expect(await ok(['budgets', 'list'])).toMatch(new RegExp(`${id} +each user +senderId=\\* +day +0\\.000000 +2\\.50`));
  expect(await ok(['budgets', 'spend', id])).toBe('Nothing was spent in this period.\n');
  expect(JSON.parse(await ok(['--json', 'budgets', 'update', id, '--limit', '3']))).toMatchObject({
    limitUsd: '3.00',
    warnAt: 50,
  });
  expect(await run(['budgets', 'create', 'x', '--limit', '1', '--for', 'everybody'])).toMatchObject({ code: 2 });
  await ok(['budgets', 'delete', id]);
  expect(await run(['budgets', 'get', id])).toMatchObject({ code: 4 });
});

async function budgetOf(options: string[]): Promise<string> {
  return JSON.parse(await ok(['--json', 'budgets', 'create', 'each user', ...options])).budgetId;
}

test('the ledger is listed', async () => {
  expect(await ok(['ledger'])).toMatch(/AT +WHAT +USD/);
});

test('events are listed, and followed from now on until an interrupt', async () => {
  expect(await ok(['events'])).toContain('agent.message');
  const child = start(['events', '--follow', '--json', '--after', '0']);
  let seen = '';
  child.stdout!.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  await eventually(() => expect(seen).toContain('"seq":1'));
  await ok(['chat', 'mine', 'support-bot', '[[SAY Followed.]]']);
  await eventually(() => expect(seen).toContain('Followed.'));
  child.kill('SIGINT');
  await once(child, 'close');
  expect(child.exitCode).toBe(130);
  for (const line of seen.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ seq: expect.any(Number) });
});

test('webhooks listen takes what its webhook signs, refuses the rest, passes it on as it came, and removes its webhook', async () => {
  const passed: { body: string; signature: string }[] = [];
  const target = createServer((request, response) => {
    void text(request).then((body) => {
      passed.push({ body, signature: String(request.headers['webhook-signature']) });
      response.writeHead(204).end();
    });
  });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  const { port } = target.address() as AddressInfo;
  const child = start([
    'webhooks',
    'listen',
    '--url',
    'https://203.0.112.1/',
    '--forward-to',
    `http://127.0.0.1:${port}/in`,
    '--port',
    '0',
    '--json',
  ]);
  let [shown, told] = ['', ''];
  child.stdout!.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (told += chunk.toString()));
  try {
    await eventually(() => expect(told).toContain('Press Ctrl-C'));
    const [, here] = /receiving at (\S+)/.exec(told) ?? [];
    const [webhook] = (await sdk.account.ok('GET', '/webhooks')).webhooks;
    const { secret } = await sdk.account.ok('GET', `/webhooks/${webhook.webhookId}`);
    const body = JSON.stringify({ eventType: 'agent.message', agentSlug: 'a', data: {}, timestamp: 'now' });
    const time = Math.floor(Date.now() / 1_000);
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    const signature = `v1,${createHmac('sha256', key).update(`evt_1.${time}.${body}`).digest('base64')}`;
    const headers = { 'webhook-id': 'evt_1', 'webhook-timestamp': `${time}`, 'webhook-signature': signature };
    const send = (given: string) => fetch(here!, { method: 'POST', headers, body: given });
    expect((await send(body)).status).toBe(204);
    expect((await send(`${body} `)).status).toBe(401);
    expect((await send('x'.repeat(8 * 1024 * 1024 + 1))).status).toBe(413);
    expect(passed).toEqual([{ body, signature }]);
    await eventually(() => expect(JSON.parse(shown)).toMatchObject({ eventType: 'agent.message' }));
    await eventually(() => expect(told).toContain('A delivery was refused'));
  } finally {
    child.kill('SIGINT');
    await once(child, 'close');
    target.close();
  }
  expect(child.exitCode).toBe(0);
  expect((await sdk.account.ok('GET', '/webhooks')).webhooks).toEqual([]);
});

test('an operator lists instances of all accounts, makes invites and grants credit', async () => {
  const operator = { THERMIDORA_URL: sdk.baseUrl, THERMIDORA_OPERATOR_TOKEN: OPERATOR_TOKEN };
  expect(await ok(['operator', 'instances'], { env: operator })).toContain(sdk.instanceId);
  expect(await ok(['operator', 'invite', '--uses', '2'], { env: operator })).toMatch(/uses +2/);
  expect(await ok(['operator', 'grant', sdk.account.accountId, '1.50', 'test'], { env: operator })).toContain('grant');
  expect(await ok(['operator', 'health'], { env: operator })).toMatch(/processes +\{"api":1,"worker":0\}/);
  expect(await ok(['operator', 'invites'], { env: operator })).toMatch(/^CODE +USED/);
  expect(await ok(['operator', 'models'], { env: operator })).toMatch(/^MODEL +PROVIDER/);
  expect(await ok(['operator', 'runtimes'], { env: operator })).toContain(sdk.instanceId);
  expect(await ok(['operator', 'set-operator', sdk.account.accountId], { env: operator })).toMatch(/operator +true/);
  expect(await ok(['operator', 'set-operator', sdk.account.accountId, '--off'], { env: operator })).toMatch(/operator +false/);
  const looked = await run(['doctor'], { env: { ...env, ...operator } });
  expect(looked).toMatchObject({ code: 1, output: expect.stringContaining('No worker runs') });
  expect(await run(['operator', 'accounts'])).toMatchObject({
    code: 3,
    problems: expect.stringContaining('THERMIDORA_OPERATOR_TOKEN'),
  });
});

test('doctor says what works, and what is wrong with the key, the address and the balance', async () => {
  const healthy = await run(['doctor']);
  expect(healthy.output).toContain(`${sdk.baseUrl} is ready.`);
  expect(healthy.output).toContain(`Signed in as ${sdk.account.email}`);
  const wrong = await run(['doctor'], { env: { ...env, THERMIDORA_API_KEY: 'tc_live_wrong' } });
  expect(wrong).toMatchObject({ code: 1, output: expect.stringMatching(/PROBLEM {2}THERMIDORA_API_KEY is not valid/) });
  const nowhere = await run(['doctor'], { env: { ...env, THERMIDORA_URL: 'http://127.0.0.1:1/v1' } });
  expect(nowhere).toMatchObject({ code: 1, output: expect.stringMatching(/PROBLEM .*does not answer/) });
  const poor = await sdk.api.newAccount({ creditUsd: '0.00' });
  const { apiKey } = await poor.ok('POST', '/auth/keys', { name: 'poor' });
  const out = await run(['doctor', '--json'], { env: { ...env, THERMIDORA_API_KEY: apiKey } });
  expect(JSON.parse(out.output)).toContainEqual({ ok: false, text: 'The balance is 0.00 USD.' });
});

test('each shell gets a completion script, and what may follow comes from the commands themselves', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) expect(await ok(['completion', shell])).toContain('thermidora __complete');
  expect(await run(['completion', 'tcsh'])).toMatchObject({ code: 2 });
  expect(await ok(['__complete', 'web'])).toBe('webhooks\n');
  expect((await ok(['__complete', 'webhooks', ''])).split('\n')).toEqual(expect.arrayContaining(['listen', 'rotate-secret']));
  expect(await ok(['__complete', 'instances', 'create', '--w'])).toBe('--wait\n');
  const file = join(home, 'completion.bash');
  await writeFile(file, await ok(['completion', 'bash']));
  const script = `thermidora() { ${process.execPath} ${PROGRAM} "$@"; }; . ${file}; COMP_WORDS=(thermidora instances cr); COMP_CWORD=2; _thermidora; echo "\${COMPREPLY[*]}"`;
  const bash = spawn('bash', ['-c', script], {
    env: { PATH: process.env['PATH'], XDG_CONFIG_HOME: home },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(await text(bash.stdout)).toBe('create\n');
});

test('of a log that is read again only the new lines are shown, also where lines repeat or the known ones are gone', () => {
  const lines = (given: string) => given.split('').map((one) => ({ at: null, text: one }));
  const texts = (known: string, now: string) =>
    newLines(lines(known), lines(now))
      .map((line) => line.text)
      .join('');
  expect([
    texts('ab', 'abcd'),
    texts('abab', 'ababab'),
    texts('abc', 'bcd'),
    texts('abc', 'xyz'),
    texts('', 'ab'),
    texts('ab', 'ab'),
  ]).toEqual(['cd', 'ab', 'd', 'xyz', 'ab', '']);
});
