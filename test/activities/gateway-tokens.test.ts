import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { relayKeys, verifyRelayToken } from '../../runtime/openclaw/install/tokens.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { bump, changeContent } from '../workflows/content-changes.ts';
import { attempt } from './kill-points.ts';
import type { StepName } from './kill-points.ts';

const configuration = z.object({
  models: z.object({ providers: z.record(z.string(), z.object({ apiKey: z.string() })) }),
});

let reconciler: ReconcilerUnderTest;
let instance: InstanceWithAgent;

beforeAll(async () => {
  reconciler = await startReconciler({ program: async () => SCRIPTED_GATEWAY, withWorkers: false });
  instance = await reconciler.newInstance();
});
afterAll(() => reconciler.close());

async function carryOut(step: StepName): Promise<void> {
  const { instanceId } = instance;
  const { powerGeneration } = await reconciler.row(instanceId);
  await attempt(() => reconciler.activities[step]({ instanceId, powerGeneration }));
}

/** The process that the tokens in the configuration of the gateway are for, and the one that the relay takes. */
async function epochs(): Promise<{ given: Set<number | null | undefined>; taken: number | null | undefined }> {
  const text = await readFile(layoutOf(reconciler.dataDir, instance.runtimeId).configFile, 'utf8');
  const { models } = configuration.parse(JSON.parse(text));
  const tokens = Object.values(models.providers).map(({ apiKey }) => apiKey);
  const [row] = await reconciler.orm.em
    .fork()
    .execute<{ epoch: number | null }[]>('select gateway_epoch::float8 as epoch from instances where id = ?', [
      instance.instanceId,
    ]);
  const given = tokens.map((token) => verifyRelayToken(relayKeys(reconciler.deps.config.MASTER_KEYS), token)?.epoch);
  return { given: new Set(given), taken: row?.epoch };
}

test('the tokens of agents are for their gateway process: new content keeps them, a restart replaces them, a stop voids them', async () => {
  await reconciler.power(instance.instanceId, 'start');
  await carryOut('startInstance');
  const first = await epochs();
  expect(first).toEqual({ given: new Set([first.taken]), taken: expect.any(Number) });

  await changeContent(reconciler, instance);
  await carryOut('applyContent');
  expect(await epochs()).toEqual(first);

  await bump(reconciler, instance.instanceId, 'restart_generation');
  await carryOut('restartInstance');
  await carryOut('startInstance');
  const second = await epochs();
  expect(second.given).toEqual(new Set([second.taken]));
  expect(Number(second.taken)).toBeGreaterThan(Number(first.taken));

  await reconciler.power(instance.instanceId, 'stop');
  await carryOut('stopInstance');
  expect((await epochs()).taken).toBe(0);
});
