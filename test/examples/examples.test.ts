import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePorts } from '../local/free-ports.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
/** Each example starts a gateway, which waits for its turn on a busy machine. */
const LONG_MS = TEST_LIMIT_MS;

let stack: StackUnderTest;
let account: ApiClient;
let env: Record<string, string>;
beforeAll(async () => {
  // As `npm start` has it: the echo model answers, and webhooks may go to this machine.
  stack = await startStack({ env: { MODEL_UPSTREAM_URL: '', WEBHOOK_ALLOW_PRIVATE: 'true' } });
  account = await stack.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'examples' });
  env = { PATH: process.env['PATH'] ?? '', API_URL: `${stack.url}/v1`, API_KEY: apiKey };
});
afterAll(() => stack?.close());

/** The shell commands of this section of README.md. */
async function commandsOf(heading: string): Promise<string> {
  const readme = await readFile(join(EXAMPLES, '../README.md'), 'utf8');
  const section = readme.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, commands]) => commands).join('\n');
}

function start(command: string, file: string, more: Record<string, string> = {}): ChildProcess {
  return spawn(command, [join(EXAMPLES, file)], { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What an example prints, once it has ended well. */
async function outputOf(command: string, file: string): Promise<string> {
  const child = start(command, file);
  const [output, problems] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
  expect([problems, child.exitCode]).toEqual(['', 0]);
  return output;
}

test(
  'the curl example gets one reply for a repeated message, and the next one as a stream',
  async () => {
    const [first, repeated, ...stream] = (await outputOf('sh', 'first-conversation.sh')).split('\n');
    expect(JSON.parse(first!).content).toContain('You said: Good morning!');
    expect(repeated).toBe(first);
    expect(stream.filter((line) => line.startsWith('data: {')).length).toBeGreaterThan(1);
    expect(stream).toContain('data: [DONE]');
  },
  LONG_MS,
);

test(
  'the Python example prints the reply',
  async () => {
    expect(await outputOf('python3', 'first_conversation.py')).toContain('You said: Good morning!');
  },
  LONG_MS,
);

test(
  'the TypeScript example prints the streamed reply, and the webhook receiver its event; what is forged or old is refused',
  async () => {
    const receiver = start(process.execPath, 'webhook-receiver.ts', { PORT: String(await freePorts(1)) });
    const closed = once(receiver, 'close');
    let received = '';
    for (const stream of [receiver.stdout!, receiver.stderr!])
      stream.on('data', (chunk: Buffer) => (received += chunk.toString()));
    try {
      const url = await eventually(() => /sends to (\S+)/.exec(received)?.[1] ?? Promise.reject(new Error(received)), LONG_MS);
      expect(await outputOf(process.execPath, 'first-conversation.ts')).toContain('You said: Good morning!');
      await eventually(() => expect(received).toContain('"eventType":"agent.message"'), LONG_MS);

      const now = Math.floor(Date.now() / 1000);
      for (const signature of ['', 'v1,', `v1,${Buffer.alloc(32).toString('base64')}`]) {
        const headers = { 'webhook-id': 'evt_forged', 'webhook-timestamp': `${now}`, 'webhook-signature': signature };
        expect((await fetch(url, { method: 'POST', headers, body: '{"forged":true}' })).status).toBe(401);
      }
      expect(received).not.toContain('forged');
    } finally {
      receiver.kill();
      await closed;
    }
  },
  LONG_MS,
);

test(
  'the conversation of README.md prints a reply and a stream, and its second account gets a key, as they stand there',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'readme-'));
    try {
      await mkdir(join(directory, '.thermidora'));
      await writeFile(join(directory, '.thermidora/api-key'), `${env['API_KEY']}\n`);
      const conversation = (await commandsOf('A first conversation')).split('MODEL_UPSTREAM_URL=')[0]!;
      const { code } = await stack.operator.ok('POST', '/admin/invites', {});
      const script = `${conversation}${await commandsOf("A customer's account")}`;
      // What the text below the commands says for a slow machine.
      const wait = `until curl -s "$api/instances/$instance/wait?status=running&timeout=60" -H "$auth" | grep -q '"status":"running"'; do :; done\n`;
      const placed = script
        .replace('http://127.0.0.1:3000', stack.url)
        .replace('PASTE_THE_CODE', code)
        .replace('# 3. A message', `${wait}$&`);
      const child = spawn('sh', ['-eu', '-c', placed], {
        cwd: directory,
        env: { PATH: env['PATH'] },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
      expect([problems, child.exitCode]).toEqual(['', 0]);
      const [reply, ...rest] = output.trim().split('\n');
      expect(reply).toContain('"content":"You said: Good morning!');
      expect(rest).toContain('data: [DONE]');
      expect(rest.at(-1)).toMatch(/^tc_live_[\w-]+$/);
    } finally {
      await rm(directory, { recursive: true });
    }
  },
  LONG_MS,
);

test('every example is in the list of examples/README.md', async () => {
  const list = await readFile(join(EXAMPLES, 'README.md'), 'utf8');
  const listed = [...list.matchAll(/^\| \[(\S+)\]\(\1\)/gm)].map(([, file]) => file);
  expect(new Set([...listed, 'README.md'])).toEqual(new Set(await readdir(EXAMPLES)));
});
