import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { fallAsleep } from '../../../database/instances/sleep/fall-asleep.ts';
import { wakeSleeper } from '../../../database/instances/sleep/wake-sleeper.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { run, sql } from '../../../database/sql.ts';
import { SLEEP_PACE } from '../../../domain/sleep.ts';
import { hasCluster, MACHINE, openKubernetes, TEST_MS, WAIT_MS } from '../../support/kubernetes-under-test.ts';
import type { KubernetesUnderTest } from '../../support/kubernetes-under-test.ts';
import { openClaw } from '../../support/open-claw.ts';
import { expectHandedOver } from '../../worker/pool-on-driver.ts';
import type { HandedOver } from '../../worker/pool-on-driver.ts';
import { startReconciler } from '../../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../../workflows/reconciler-under-test.ts';

jest.setTimeout(TEST_MS);

(hasCluster ? describe : describe.skip)('a Pod of the pool', () => {
  let kubernetes: KubernetesUnderTest;
  let reconciler: ReconcilerUnderTest;

  beforeAll(async () => {
    kubernetes = await openKubernetes();
    const openDriver = (modelUrl: string) => kubernetes.openDriver({ RELAY_PORT: Number(new URL(modelUrl).port) });
    reconciler = await startReconciler({ program: openClaw, node: 'here', modelHost: MACHINE, openDriver });
  });
  afterAll(async () => {
    await reconciler?.close();
    await kubernetes?.close();
  });

  let handed: HandedOver;

  test('answers for the new instance that takes it, and one that is not taken is removed whole', async () => {
    handed = await expectHandedOver(reconciler, { withinMs: WAIT_MS });
  });

  test('is ended when its instance falls asleep, and the claim stays: what wakes goes on with its conversation', async () => {
    const { instanceId, runtimeId, say, destroy } = handed;
    const { orm, driver, model } = reconciler;
    const name = kubernetes.admin.names.of(runtimeId);
    const claim = await kubernetes.find('persistentvolumeclaims', name);
    await run(orm.em.fork(), sql`update instances set sleep_after_ms = 1 where id = ${instanceId}`);
    expect(await runTransaction(orm.em, (em) => fallAsleep(em, { instanceId, pace: SLEEP_PACE }))).toBe(true);
    await reconciler.reconcile(instanceId);
    expect(await reconciler.row(instanceId)).toMatchObject({ status: 'stopped', sleepState: 'asleep', deaths: [] });
    expect(await driver.inspect(runtimeId)).toMatchObject({ status: 'exited' });
    expect(await driver.endpoint(runtimeId)).toBeNull();
    expect(uidIn(await kubernetes.find('persistentvolumeclaims', name))).toBe(uidIn(claim));

    expect(await runTransaction(orm.em, (em) => wakeSleeper(em, instanceId))).toBe(true);
    await reconciler.reconcile(instanceId);
    expect(await reconciler.row(instanceId)).toMatchObject({ status: 'running', sleepState: 'awake', runtimeId, deaths: [] });
    expect(await say('And now?')).toBe('You said: And now?');
    expect(JSON.stringify(model.calls.at(-1)?.messages)).toContain('Who are you?');
    await destroy();
  });
});

const uidIn = (found: unknown): string =>
  z.looseObject({ metadata: z.looseObject({ uid: z.string() }) }).parse(found).metadata.uid;
