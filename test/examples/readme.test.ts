import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PATIENCE_MS } from '../support/eventually.ts';
import type { ApiClient } from '../support/api-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';
import { removeFolder } from '../support/remove-folder.ts';

const README = join(import.meta.dirname, '../../README.md');

let openClaw: StandIn;
let stack: StackUnderTest;
let account: ApiClient;
let apiKey: string;
beforeAll(async () => {
  // It says what the echo model of `npm start` says, which restore-drill.test.ts hears from a real gateway.
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw });
  account = await stack.newAccount();
  ({ apiKey } = await account.ok('POST', '/auth/keys', { name: 'readme' }));
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

/** The shell commands of this section of README.md. */
async function commandsOf(heading: string): Promise<string> {
  const readme = await readFile(README, 'utf8');
  const section = readme.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, commands]) => commands).join('\n');
}

test('the conversation of README.md prints a reply and a stream, and its second account gets a key, as they stand there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'readme-'));
  try {
    await mkdir(join(directory, '.thermidora'));
    await writeFile(join(directory, '.thermidora/api-key'), `${apiKey}\n`);
    const conversation = (await commandsOf('A first conversation')).split('MODEL_UPSTREAM_URL=')[0]!;
    const { code } = await stack.operator.ok('POST', '/admin/invites', {});
    const script = `${conversation}${await commandsOf("A customer's account")}`;
    // What the text below the commands says for a slow machine.
    const waitFor = (path: string, status: string) =>
      `until curl -s "$api/instances/$instance${path}" -H "$auth" | grep -q '"status":"${status}"'; do sleep 1; done\n`;
    const wait = `${waitFor('/wait?status=running', 'running')}${waitFor('/agents/$agent', 'active')}`;
    const placed = script
      .replace('http://127.0.0.1:3000', stack.url)
      .replace('PASTE_THE_CODE', code)
      .replace('# 3. A message', (line) => `${wait}${line}`);
    const child = spawn('sh', ['-eu', '-c', placed], {
      cwd: directory,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
      // What it waits for may never come.
      timeout: 2 * PATIENCE_MS,
      killSignal: 'SIGKILL',
    });
    const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    expect([problems, child.exitCode]).toEqual(['', 0]);
    const [reply, ...rest] = output.trim().split('\n');
    expect(reply).toContain('"content":"You said: Good morning!');
    expect(rest).toContain('data: [DONE]');
    expect(rest.at(-1)).toMatch(/^tc_live_[\w-]+$/);
  } finally {
    await removeFolder(directory);
  }
});

test("the program of README.md prints the agent's reply through OpenAI's client, as it stands there", async () => {
  const [program] = /(?<=```js\n)[\s\S]*?(?=```)/.exec(await readFile(README, 'utf8')) ?? [];
  const [{ instanceId }] = (await account.ok('GET', '/instances')).instances;
  const [{ agentId }] = (await account.ok('GET', `/instances/${instanceId}/agents`)).agents;
  const directory = await mkdtemp(join(tmpdir(), 'readme-'));
  try {
    await symlink(join(README, '../node_modules'), join(directory, 'node_modules'));
    await writeFile(join(directory, 'program.mjs'), program!.replace('http://127.0.0.1:3000', stack.url));
    const child = spawn(process.execPath, ['program.mjs'], {
      cwd: directory,
      env: { API_KEY: apiKey, AGENT: agentId },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    expect([problems, output]).toEqual(['', expect.stringContaining('You said: Good morning!')]);
  } finally {
    await removeFolder(directory);
  }
});
