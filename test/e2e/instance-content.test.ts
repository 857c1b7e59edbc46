import { setTimeout as sleep } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createOrm } from '../../database/orm.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds, createDice, reportCampaign } from '../support/campaign.ts';
import { installForCampaign } from '../support/campaign-openclaw.ts';
import type { Dice } from '../support/campaign.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';
import { newAgent } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';
import { bothSides, settled, untilSettled } from './content-of-stack.ts';

let openClaw: StandIn | undefined;
let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient;
let instanceId: string;
let agentId: string;

beforeAll(async () => {
  openClaw = await installForCampaign();
  stack = await startStack(openClaw ? { openClaw } : {});
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'content' }));
  ({ agentId } = await newAgent(account, instanceId));
});

afterAll(async () => {
  await orm?.close();
  await stack?.close();
  await openClaw?.remove();
});

const path = (rest: string) => `/instances/${instanceId}/${rest}`;

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
  TEST_LIMIT_MS * campaignRounds(),
);

/** Both sides as they are while the instance runs and rests: a death that nobody has noticed yet shows as one of the errors. */
function settledSides() {
  return eventually(async () => {
    const row = await untilSettled(orm, account, instanceId);
    const sides = await bothSides(stack, orm, { instanceId, ...row });
    expect(await settled(orm, instanceId)).toEqual(row);
    return { ...sides, reason: row.reason };
  });
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
