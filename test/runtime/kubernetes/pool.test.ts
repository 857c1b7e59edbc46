import { afterAll, beforeAll, describe, jest, test } from '@jest/globals';
import { hasCluster, MACHINE, openKubernetes, TEST_MS, WAIT_MS } from '../../support/kubernetes-under-test.ts';
import type { KubernetesUnderTest } from '../../support/kubernetes-under-test.ts';
import { openClaw } from '../../support/open-claw.ts';
import { expectHandedOver } from '../../worker/pool-on-driver.ts';
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

  test('answers for the new instance that takes it, and one that is not taken is removed whole', () =>
    expectHandedOver(reconciler, { withinMs: WAIT_MS }));
});
