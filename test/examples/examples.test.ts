import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePorts } from '../local/free-ports.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

let openClaw: StandIn;
let stack: StackUnderTest;
let account: ApiClient;
let env: Record<string, string>;
beforeAll(async () => {
  // As `npm start` has it: webhooks may go to this machine.
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw, env: { WEBHOOK_ALLOW_PRIVATE: 'true' } });
  account = await stack.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'examples' });
  env = { PATH: process.env['PATH'] ?? '', API_URL: `${stack.url}/v1`, API_KEY: apiKey };
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

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

test('the curl example gets one reply for a repeated message, and the next one as a stream', async () => {
  const [first, repeated, ...stream] = (await outputOf('sh', 'first-conversation.sh')).split('\n');
  expect(JSON.parse(first!).content).toContain('You said: Good morning!');
  expect(repeated).toBe(first);
  expect(stream.filter((line) => line.startsWith('data: {')).length).toBeGreaterThan(1);
  expect(stream).toContain('data: [DONE]');
});

test('the Python example prints the reply', async () => {
  expect(await outputOf('python3', 'first_conversation.py')).toContain('You said: Good morning!');
});

test('the TypeScript example prints the streamed reply, and the webhook receiver its event; what is forged or old is refused', async () => {
  const receiver = start(process.execPath, 'webhook-receiver.ts', { PORT: String(await freePorts(1)) });
  const closed = once(receiver, 'close');
  let received = '';
  for (const stream of [receiver.stdout!, receiver.stderr!]) stream.on('data', (chunk: Buffer) => (received += chunk.toString()));
  try {
    const url = await eventually(() => /sends to (\S+)/.exec(received)?.[1] ?? Promise.reject(new Error(received)));
    expect(await outputOf(process.execPath, 'first-conversation.ts')).toContain('You said: Good morning!');
    await eventually(() => expect(received).toContain('"eventType":"agent.message"'));

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
});

test('every example is in the list of examples/README.md', async () => {
  const list = await readFile(join(EXAMPLES, 'README.md'), 'utf8');
  const listed = [...list.matchAll(/^\| \[(\S+)\]\(\1\)/gm)].map(([, file]) => file);
  expect(new Set([...listed, 'README.md'])).toEqual(new Set(await readdir(EXAMPLES)));
});
