import { afterAll, beforeAll, describe, jest, test } from '@jest/globals';
import { hasEngine, openDocker, RELAY_HOST, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';
import { openClaw } from '../../support/open-claw.ts';
import { expectHandedOver } from '../../worker/pool-on-driver.ts';
import { startReconciler } from '../../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../../workflows/reconciler-under-test.ts';

jest.setTimeout(TEST_MS);

(hasEngine ? describe : describe.skip)('a container of the pool', () => {
  let docker: DockerUnderTest;
  let reconciler: ReconcilerUnderTest;

  beforeAll(async () => {
    docker = await openDocker();
    const openDriver = (modelUrl: string) => docker.openDriver({ RELAY_PORT: Number(new URL(modelUrl).port) });
    reconciler = await startReconciler({ program: openClaw, node: 'here', modelHost: RELAY_HOST, openDriver });
  });
  afterAll(async () => {
    await reconciler?.close();
    await docker?.close();
  });

  test('answers for the new instance that takes it, and one that is not taken is removed whole', () =>
    expectHandedOver(reconciler, { withinMs: WAIT_MS }));
});
