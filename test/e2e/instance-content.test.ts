import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createOrm } from '../../database/orm.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds, createDice, reportCampaign } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { bothSides, settled } from './content-of-stack.ts';

const LONG_MS = 600_000;
const ROUND_MS = 240_000;

let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient;
let instanceId: string;
let agentId: string;

beforeAll(async () => {
  stack = await startStack();
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'content' }));
  ({ agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, { name: 'a', slug: 'agent', displayName: 'A' }));
  await runs();
}, LONG_MS);

afterAll(async () => {
  await orm?.close();
  await stack?.close();
}, LONG_MS);

const path = (rest: string) => `/instances/${instanceId}/${rest}`;
const runs = () =>
  eventually(async () => {
    const row = await settled(orm, instanceId);
    if (row) return row;
    const shown = await account.ok('GET', `/instances/${instanceId}`);
    // Five deaths within ten minutes are too many for it to come back by itself.
    if (shown.status === 'error') await account.ok('POST', path('start'));
    throw new Error(`not settled: ${JSON.stringify(shown)}`);
  }, 120_000);

/** What a command prints that the agent runs. */
async function run(command: string): Promise<string> {
  const message = `[[TOOL exec ${JSON.stringify({ command })}]]`;
  return (await account.ok('POST', path(`agents/${agentId}/messages`), { message })).content;
}

test(
  'a secret is in what agents run and nowhere else: no row, log, workflow history, answer or error holds it in clear',
  async () => {
    const [first, second] = [`canary-${randomBytes(16).toString('hex')}`, `canary-${randomBytes(16).toString('hex')}`];
    const answers: unknown[] = [];
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    const digestInside = () => run('printf %s "$CANARY_TOKEN" | sha256sum');

    answers.push(await account.ok('POST', path('secrets'), { secrets: { CANARY_TOKEN: first } }));
    expect(answers).toEqual([{ stored: 1, restarting: true }]);
    await runs();
    expect(await digestInside()).toContain(digest(first));
    answers.push(await account.ok('POST', path('secrets'), { secrets: { CANARY_TOKEN: second } }));
    answers.push((await account.call('POST', path('secrets'), { secrets: { PATH: second, lower: first } })).body);
    answers.push((await account.call('POST', path('secrets'), { secrets: [first] })).body);
    answers.push((await account.call('POST', path('secrets'), { [second]: { secrets: 1 } })).body);
    await runs();
    expect(await digestInside()).toContain(digest(second));
    answers.push(await account.ok('GET', path('secrets')), await account.ok('GET', path('logs?limit=1000')));
    answers.push(await account.ok('GET', path('events')), await account.ok('GET', `/instances/${instanceId}`));
    answers.push(await account.ok('DELETE', path('secrets/CANARY_TOKEN')));
    await runs();
    expect(await digestInside()).toContain(digest(''));

    const places: Record<string, string> = {
      answers: JSON.stringify(answers),
      database: await everyRow(),
      histories: await everyHistory(),
    };
    for (const name of ['api', 'worker', 'relay'] as const) places[name] = await stack.logOf(name);
    for (const [place, text] of Object.entries(places)) {
      expect(text.length).toBeGreaterThan(0);
      for (const canary of [first, second])
        for (const form of [canary, Buffer.from(canary).toString('base64').slice(0, 40), Buffer.from(canary).toString('hex')])
          expect([place, text.includes(form)]).toEqual([place, false]);
    }
  },
  LONG_MS,
);

test(
  'an agent shows its files as they are while it runs, and as they were while it is stopped',
  async () => {
    const filesOf = async () => (await account.ok('GET', path(`agents/${agentId}`))).files;
    await account.ok('PATCH', path(`agents/${agentId}`), { files: { 'MEMORY.md': 'as given', 'notes/plan.md': 'plan' } });
    await run(
      'printf remembered > MEMORY.md; mkdir -p memory; printf day > memory/2026-01-31.md; printf changed > notes/plan.md',
    );
    const seen = {
      'MEMORY.md': 'remembered',
      'memory/2026-01-31.md': 'day',
      'notes/plan.md': 'changed',
      'SOUL.md': expect.any(String),
    };
    expect(await filesOf()).toMatchObject(seen);
    await account.ok('POST', path('stop?wait=60'));
    expect(await filesOf()).toMatchObject(seen);
    expect(await account.ok('PATCH', path(`agents/${agentId}`), { files: { 'notes/plan.md': null } })).not.toHaveProperty([
      'files',
      'notes/plan.md',
    ]);
    await account.ok('POST', path('start'));
    await runs();
    const { 'notes/plan.md': _gone, ...rest } = seen;
    const files = await filesOf();
    expect(files).toMatchObject(rest);
    expect(files).not.toHaveProperty(['notes/plan.md']);
  },
  LONG_MS,
);

/** What a dump of the database holds. */
async function everyRow(): Promise<string> {
  const em = orm.em.fork();
  const tables = await em.execute<{ name: string }[]>(
    `select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const rows = await em.execute<{ row: string }[]>(`select "${name}"::text as row from "${name}"`);
    texts.push(...rows.map(({ row }) => row));
  }
  expect(tables.map(({ name }) => name)).toContain('instance_secrets');
  return texts.join('\n');
}

async function everyHistory(): Promise<string> {
  const { address, namespace } = stack.temporal;
  const connection = await Connection.connect({ address });
  try {
    const client = new Client({ connection, namespace });
    const texts: string[] = [];
    for await (const { workflowId, runId } of client.workflow.list()) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      texts.push(Buffer.from(proto.temporal.api.history.v1.History.encode(history).finish()).toString('latin1'));
    }
    return texts.join('\n');
  } finally {
    await connection.close();
  }
}

test(
  'whatever changes at once, and whatever dies meanwhile, both sides hold the same in the end',
  async () => {
    const dice = createDice('instance content');
    const done = { changes: 0, gateways: 0, workers: 0 };
    for (let round = 1; round <= campaignRounds(); round += 1) {
      for (let step = 2 + dice.below(4); step > 0; step -= 1) {
        const together = Array.from({ length: 1 + dice.below(2) }, () => change(dice));
        done.changes += together.length;
        await sleep(dice.below(1_500));
        if (dice.next() < 0.4) done[await kill(dice)] += 1;
        // Refused, late or done: only both sides count.
        await Promise.allSettled(together);
      }
      if ((await account.ok('GET', `/instances/${instanceId}`)).desiredStatus === 'stopped')
        await account.ok('POST', `/instances/${instanceId}/start`);
      const { reason, wanted, found } = await settledSides();
      // What was only mended afterwards had been half applied.
      expect([round, reason, found]).toEqual([round, null, wanted]);
    }
    const { changes, gateways, workers } = done;
    const killed = `${gateways} gateways and ${workers} workers killed`;
    const outcome = `${campaignRounds()} rounds, ${changes} changes, ${killed}: both sides equal`;
    const counts = { changes, gateways, workers };
    await reportCampaign({ name: 'instance content', seed: dice.seed, counts, outcome, file: import.meta.filename });
  },
  ROUND_MS * campaignRounds(),
);

/** Both sides as they are while the instance runs and rests: a death that nobody has noticed yet shows as one of the errors. */
function settledSides() {
  return eventually(async () => {
    const row = await runs();
    const sides = await bothSides(stack, orm, { instanceId, ...row });
    expect(await settled(orm, instanceId)).toEqual(row);
    return { ...sides, reason: row.reason };
  }, 120_000);
}

/** One random call that changes the content, or its power. */
function change(dice: Dice): Promise<unknown> {
  const key = dice.pick(['ALPHA', 'BETA', 'GAMMA_TOKEN']);
  const name = dice.pick(['one', 'two', 'weather']);
  const value = String(dice.below(1_000_000));
  const custom = { name, files: { 'SKILL.md': `Skill ${value}`, 'scripts/run.sh': `#!/bin/sh\necho ${value}` } };
  const calls: (() => Promise<unknown>)[] = [
    () => account.call('POST', path('secrets'), { secrets: { [key]: value, BOTH: value } }),
    () => account.call('DELETE', path(`secrets/${key}`)),
    () => account.call('POST', path('skills'), name === 'weather' ? { name } : custom),
    () => account.call('DELETE', path(`skills/${name}`)),
    () => account.call('PATCH', path(`agents/${agentId}`), { files: { [`notes/${key}.md`]: value, 'notes/always.md': value } }),
    () => account.call('PATCH', path(`agents/${agentId}`), { files: { [`notes/${key}.md`]: null } }),
    () => account.call('POST', `/instances/${instanceId}/stop`),
    () => account.call('POST', `/instances/${instanceId}/start`),
    () => account.call('POST', `/instances/${instanceId}/start`),
  ];
  return dice.pick(calls)();
}

/** SIGKILL to the gateway, or to the worker that works on it and comes back. */
async function kill(dice: Dice): Promise<'gateways' | 'workers'> {
  if (dice.next() < 0.4) {
    await stack.kill('worker');
    await stack.start('worker');
    return 'workers';
  }
  const [row] = await orm.em
    .fork()
    .execute<{ runtimeId: string }[]>('select runtime_id as "runtimeId" from instances where id = ?', [instanceId]);
  const record = row && (await readRecord(layoutOf(stack.dataDir, row.runtimeId)));
  try {
    if (record) process.kill(record.pid, 'SIGKILL');
  } catch {
    // It was gone already.
  }
  return 'gateways';
}
