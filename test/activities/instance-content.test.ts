import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { holds, mendContent } from '../../activities/content/content-drift.ts';
import { loadGatewayContent } from '../../database/content/gateway-content.ts';
import { secretNames } from '../../runtime/openclaw/content/secret-store.ts';
import { contentOf } from './content-under-test.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { withinWriteLimit } from '../../runtime/openclaw/wire/write-limit.ts';
import { offeredModel } from '../support/offered-model.ts';
import { openClaw } from '../support/open-claw.ts';
import { asGateway } from '../support/raw-gateway.ts';
import { MODEL, startReconciler } from '../workflows/reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';

const SKILL = `---\nname: my-skill\ndescription: Tells the time of day.\nmetadata: { "openclaw": { "requires": { "env": ["MY_TOKEN"] } } }\n---\nRun {baseDir}/scripts/run.sh\n`;
const SCRIPT = '#!/bin/sh\necho "script says $MY_TOKEN"\n';

let world: ReconcilerUnderTest;
let instance: InstanceWithAgent;
let content: ReturnType<typeof contentOf>;
let workspace: string;

beforeAll(async () => {
  world = await startReconciler({ program: openClaw });
  instance = await world.newInstance();
  content = contentOf(world, instance);
  workspace = world.driver.paths(instance.runtimeId).workspaceOf(instance.gatewayAgentId);
  // Names that make a gateway install plugins when it has them as its environment.
  await content.secrets({ MY_TOKEN: 'first', GROQ_API_KEY: 'g', SLACK_BOT_TOKEN: 's' });
  await content.installSkill('weather');
  await content.installSkill('my-skill', { 'SKILL.md': SKILL, 'scripts/run.sh': SCRIPT }, ['MY_TOKEN']);
  await world.power(instance.instanceId, 'start');
  await world.reconcile(instance.instanceId);
});

afterAll(() => world?.close());

const reconcile = () => world.reconcile(instance.instanceId);

test('a start brings the skills into the prompt and the secrets into what agents run, whatever their names are', async () => {
  expect(await world.statusOf(instance.instanceId)).toMatchObject({ status: 'running', deaths: 0, openIntervals: 1 });
  const system = await content.ask('[[SYSTEM]]');
  expect(system).toContain('weather');
  expect(system).toContain('Tells the time of day');
  expect(await content.run('echo "$MY_TOKEN/$GROQ_API_KEY/$SLACK_BOT_TOKEN"')).toContain('first/g/s');
});

test('a skill whose settings have a key of their own gets its variables all the same', async () => {
  const manifest = SKILL.replace('my-skill', 'keyed-skill')
    .replace('Tells the time of day.', 'Tells the tides.')
    .replace('{ "requires"', '{ "skillKey": "tides", "requires"');
  await content.installSkill('keyed-skill', { 'SKILL.md': manifest }, ['MY_TOKEN']);
  await reconcile();
  // On a slow machine its gateway takes up the variables a little later than the skill.
  await eventually(async () => expect(await content.ask('[[SYSTEM]]')).toContain('Tells the tides.'));
  await content.deleteSkill('keyed-skill');
});

test('a script of a skill can be run', async () => {
  expect(await content.run(join(world.driver.paths(instance.runtimeId).stateDir, 'skills/my-skill/scripts/run.sh'))).toContain(
    'script says first',
  );
});

test('a skill is seen and gone again in the next turn of the same conversation, without a restart', async () => {
  const { bootId } = await world.statusOf(instance.instanceId);
  await content.installSkill('late-skill', { 'SKILL.md': '---\nname: late-skill\ndescription: Came late.\n---\nx' });
  await reconcile();
  expect(await content.ask('[[SYSTEM]]')).toContain('Came late.');
  await content.deleteSkill('late-skill');
  await content.deleteSkill('weather');
  await reconcile();
  const system = await content.ask('[[SYSTEM]]');
  expect(system).toContain('Tells the time of day');
  expect(system).not.toContain('Came late.');
  expect(system).not.toMatch(/<name>weather<\/name>/);
  expect(await world.statusOf(instance.instanceId)).toMatchObject({ bootId });
});

test('a changed persona file is in the next prompt, and any other file in the workspace', async () => {
  await content.file('SOUL.md', 'You are a lighthouse keeper.');
  await content.file('notes/deep/plan.md', 'the plan');
  await reconcile();
  expect(await content.ask('[[SYSTEM]]')).toContain('You are a lighthouse keeper.');
  expect(await readFile(join(workspace, 'notes/deep/plan.md'), 'utf8')).toBe('the plan');
  await content.file('SOUL.md', null);
  await content.file('notes/deep/plan.md', null);
  await reconcile();
  expect(await content.ask('[[SYSTEM]]')).not.toContain('lighthouse');
  await expect(readFile(join(workspace, 'notes/deep/plan.md'))).rejects.toThrow('ENOENT');
});

/** As many as an instance may have, with those that it has before and after. */
const MANY = Array.from({ length: 97 }, (_none, index) => `ONE_OF_MANY_${index}`);
const manyAtGateway = async () => (await secretNames(await content.client())).filter((name) => MANY.includes(name));

test('secrets that are replaced, deleted and stored, a hundred at once, share one start of the gateway, which knows no old value', async () => {
  const { bootId } = await world.statusOf(instance.instanceId);
  await content.secrets({ MY_TOKEN: 'second', GROQ_API_KEY: null });
  await content.secrets({ ANOTHER: 'more', ...Object.fromEntries(MANY.map((key) => [key, 'stored'])) });
  await reconcile();
  const status = await world.statusOf(instance.instanceId);
  // A start that fails counts as a death.
  expect(status).toMatchObject({ status: 'running', transition: null, deaths: 0, openIntervals: 1 });
  expect(status.bootId).not.toBe(bootId);
  expect(await manyAtGateway()).toHaveLength(MANY.length);
  // The gateway masks what looks like a secret in what it shows: so in capital letters.
  expect(await content.run('echo "$MY_TOKEN/$ANOTHER/$GROQ_API_KEY" | tr a-z A-Z')).toMatch(/SECOND\/MORE\/\s*$/);
  expect(await content.run('env | tr a-z A-Z')).not.toMatch(/FIRST|GROQ_API_KEY/);
  // Nothing is left to do.
  const row = await world.row(instance.instanceId);
  expect(row.appliedRestartGeneration).toBe(row.restartGeneration);
});

test('a link that an agent planted is told of, keeps only its own file from being written, and is never followed', async () => {
  const outside = join(world.dataDir, 'outside');
  await mkdir(outside);
  await symlink(outside, join(workspace, 'trap'));
  await content.file('trap/new.md', 'x');
  await content.file('free.md', 'written');
  await reconcile();
  expect(await readFile(join(workspace, 'free.md'), 'utf8')).toBe('written');
  await expect(readFile(join(outside, 'new.md'))).rejects.toThrow('ENOENT');
  expect(await content.rows()).toMatchObject({ reason: 'file_refused' });
  await content.file('trap/new.md', null);
  await content.file('trap', null);
  await reconcile();
  expect(await content.rows()).toMatchObject({ reason: null });
});

test('what a gateway lost or got behind our back is found, mended and told', async () => {
  const gateway = await content.client();
  // The tests before have used up what the gateway takes in a minute over this connection.
  const write = (method: string, params: object) =>
    withinWriteLimit(() => gateway.request(method, params), AbortSignal.timeout(PATIENCE_MS));
  await write('secrets.store.delete', { name: 'MY_TOKEN' });
  await write('secrets.store.set', { name: 'SMUGGLED', value: 'x', kind: 'env' });
  const wanted = await loadGatewayContent(world.orm.em.fork(), instance.instanceId);
  expect(await holds(asGateway(gateway), wanted, AbortSignal.timeout(PATIENCE_MS))).toBe(false);
  // A gateway that does not answer in time is looked at the next time.
  await eventually(async () => expect(await mendContent(world.deps, AbortSignal.timeout(PATIENCE_MS))).toBe(1));
  await reconcile();
  expect(await holds(asGateway(gateway), wanted, AbortSignal.timeout(PATIENCE_MS))).toBe(true);
  expect(await content.rows()).toMatchObject({ reason: 'content_drift' });
  expect(await mendContent(world.deps, AbortSignal.timeout(PATIENCE_MS))).toBe(0);
});

test('a configuration that the gateway refuses changes nothing of what serves, is told, and counts no more once it is taken back', async () => {
  const { bootId } = await world.statusOf(instance.instanceId);
  // OpenClaw refuses the limits of this model, and with them the whole file.
  world.deps.config.MODELS['refused-model'] = offeredModel({ upstream: MODEL, contextWindow: -1, maxTokens: -1 });
  world.deps.contentMs = 1_000;
  const agentId = await content.addAgent('refused-model');
  const run = await world.wake(instance.instanceId);
  await eventually(async () => expect(await content.rows()).toMatchObject({ reason: 'config_refused' }));
  expect(await content.ask('[[SAY as before]]')).toBe('as before');
  await world.ended(run);
  expect(await content.statusOfAgent(agentId)).toBe('error');
  expect(await world.statusOf(instance.instanceId)).toMatchObject({
    status: 'running',
    bootId,
    reason: 'config_refused',
  });
  expect(await content.ask('[[SAY still there]]')).toBe('still there');
  expect(await mendContent(world.deps, AbortSignal.timeout(PATIENCE_MS))).toBe(0);

  delete world.deps.contentMs;
  await content.deleteAgent(agentId);
  await content.file('SOUL.md', 'You are calm again.');
  await reconcile();
  expect(await content.ask('[[SYSTEM]]')).toContain('You are calm again.');
  expect(await world.statusOf(instance.instanceId)).toMatchObject({ bootId, reason: null });
  const wanted = await loadGatewayContent(world.orm.em.fork(), instance.instanceId);
  expect(await holds(asGateway(await content.client()), wanted, AbortSignal.timeout(PATIENCE_MS))).toBe(true);
});

test('what an agent wrote into its memory is kept at a stop, and not overwritten by the next start; a hundred secrets deleted meanwhile are gone', async () => {
  await content.file('MEMORY.md', 'as given');
  await reconcile();
  await mkdir(join(workspace, 'memory'), { recursive: true });
  await writeFile(join(workspace, 'MEMORY.md'), 'as remembered');
  await writeFile(join(workspace, 'memory/2026-01-31.md'), 'a day');
  await world.power(instance.instanceId, 'stop');
  await reconcile();
  const { files } = await content.rows();
  expect(files).toMatchObject({ 'MEMORY.md': 'as remembered', 'memory/2026-01-31.md': 'a day', 'free.md': 'written' });
  await content.secrets(Object.fromEntries(MANY.map((key) => [key, null])));
  await world.power(instance.instanceId, 'start');
  await reconcile();
  expect(await manyAtGateway()).toEqual([]);
  expect(await world.statusOf(instance.instanceId)).toMatchObject({ status: 'running', deaths: 0, openIntervals: 1 });
  expect(await readFile(join(workspace, 'MEMORY.md'), 'utf8')).toBe('as remembered');
  expect(await content.ask('[[SYSTEM]]')).toContain('as remembered');
});
