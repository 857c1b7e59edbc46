import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { eventually } from '../support/eventually.ts';
import { newAgent, say, untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { ProcessName, StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

const PARTS: readonly ProcessName[] = ['relay', 'api', 'worker'];

let openClaw: StandIn;
let stack: StackUnderTest;

// With a real gateway a backup comes back in restore-drill.test.ts.
beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw });
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

test('every metric that the Grafana dashboard shows is exported by some part', async () => {
  const texts = await Promise.all(PARTS.map(async (part) => (await fetch(stack.metricsUrlOf(part))).text()));
  const exported = new Set(texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)));
  const dashboard = await readFile(join(import.meta.dirname, '../../monitoring/grafana-dashboard.json'), 'utf8');
  const expressions = [...dashboard.matchAll(/"expr": "(.*)"/g)].map(([, expression = '']) => expression);
  const shown = expressions.flatMap((expression) => expression.match(/\b(?:thermidora|process|nodejs)_[a-z0-9_]+/g) ?? []);
  const names = new Set(shown.map((name) => name.replace(/_(bucket|count|sum)$/, '')));
  expect(names.size).toBeGreaterThan(15);
  expect([...names].filter((name) => !exported.has(name))).toEqual([]);
  const ours = [...exported].filter((name) => name?.startsWith('thermidora_'));
  expect(ours.filter((name) => !names.has(name ?? ''))).toEqual([]);
});

test('a database that is put back to an earlier state is what holds: what it wants runs again, and answers with what it remembers', async () => {
  const account = await stack.newAccount();
  const becomes = (id: string, status: 'running' | 'stopped') => untilStatus(account, id, status);
  const { instanceId } = await account.ok('POST', '/instances', { name: 'kept' });
  await becomes(instanceId, 'running');
  const { path } = await newAgent(account, instanceId);
  await say(account, path, { message: '[[SAY Before.]]' });

  const name = new URL(stack.databaseUrl).pathname.slice(1);
  // Nobody may be connected to a database that is copied; the server may notice late that a client has left.
  const beside = Object.assign(new URL(stack.databaseUrl), { pathname: '/postgres' }).toString();
  for (const part of PARTS) await stack.end(part, 'SIGTERM');
  await eventually(() => execute(beside, `create database ${name}_backup template ${name}`));
  for (const part of PARTS) await stack.start(part);

  // What the backup does not know: that it was stopped and started, a message, and another instance.
  await account.ok('POST', `/instances/${instanceId}/stop`);
  await becomes(instanceId, 'stopped');
  await account.ok('POST', `/instances/${instanceId}/start`);
  await becomes(instanceId, 'running');
  await say(account, path, { message: '[[SAY Lost.]]' });
  const lost = await account.ok('POST', '/instances', { name: 'lost' });
  await becomes(lost.instanceId, 'running');
  await account.ok('POST', `/instances/${instanceId}/stop`);
  await becomes(instanceId, 'stopped');

  for (const part of PARTS) await stack.kill(part);
  await execute(beside, `drop database ${name} with (force)`);
  await eventually(() => execute(beside, `alter database ${name}_backup rename to ${name}`));
  for (const part of PARTS) await stack.start(part);

  await eventually(async () => {
    expect(await account.ok('GET', `/instances/${instanceId}`)).toMatchObject({ status: 'running', transition: null });
    expect(await account.ok('POST', path, { message: '[[SAY After.]]' })).toMatchObject({ content: 'After.' });
  });
  const { messages } = await account.ok('GET', path);
  const contents = messages.map(({ content }: { content: string }) => content);
  expect(contents).toEqual(expect.arrayContaining(['Before.', 'After.']));
  expect(contents).not.toContain('Lost.');
  expect((await account.call('GET', `/instances/${lost.instanceId}`)).status).toBe(404);
});

async function execute(databaseUrl: string, ...statements: string[]): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
