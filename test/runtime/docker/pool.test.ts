import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { GIVES_WAY } from '../../../runtime/docker/container-profile.ts';
import { docker, hasEngine, openDocker, RELAY_HOST, TEST_MS, WAIT_MS } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';
import { openClaw } from '../../support/open-claw.ts';
import { expectHandedOver } from '../../worker/pool-on-driver.ts';
import { startReconciler } from '../../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../../workflows/reconciler-under-test.ts';

jest.setTimeout(TEST_MS);

(hasEngine ? describe : describe.skip)('a container of the pool', () => {
  let installation: DockerUnderTest;
  let reconciler: ReconcilerUnderTest;

  beforeAll(async () => {
    installation = await openDocker();
    const openDriver = (modelUrl: string) => installation.openDriver({ RELAY_PORT: Number(new URL(modelUrl).port) });
    reconciler = await startReconciler({ program: openClaw, node: 'here', modelHost: RELAY_HOST, openDriver });
  });
  afterAll(async () => {
    await reconciler?.close();
    await installation?.close();
  });

  test('answers for the new instance that takes it, with as much CPU time as any other, and one that is not taken is removed whole', async () => {
    const { runtimeId, destroy } = await expectHandedOver(reconciler, { withinMs: WAIT_MS });
    const shares = await docker('inspect', '--format', '{{.HostConfig.CpuShares}}', installation.names.of(runtimeId));
    expect(Number(shares)).toBe(GIVES_WAY.CpuShares);
    await destroy();
  });
});
