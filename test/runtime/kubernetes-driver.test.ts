import { describe, jest } from '@jest/globals';
import { hasCluster, openKubernetes, TEST_MS } from '../support/kubernetes-under-test.ts';
import { describeDriver } from './driver-contract.ts';
import type { DriverHarness } from './driver-contract.ts';

jest.setTimeout(TEST_MS);

/** The gateway is the one child of the container's first process. */
const GATEWAY_PID = '$(pgrep -P 1 -o)';

(hasCluster ? describe : describe.skip)('on a cluster', () => {
  // The kubelet tells times of containers in whole seconds.
  describeDriver('kubernetes', { areSkillsMounted: true, exitStepMs: 1_000 }, createHarness);
});

async function createHarness(): Promise<DriverHarness> {
  const { admin, openDriver, runInside, find, close } = await openKubernetes();
  return {
    openDriver,
    killGateway: async (runtimeId) => void (await runInside(runtimeId, `kill -9 ${GATEWAY_PID}`).catch(() => '')),
    environmentOf: async (runtimeId) =>
      `${await runInside(runtimeId, `cat /proc/${GATEWAY_PID}/environ`)}\n${JSON.stringify(await find('pods', admin.names.of(runtimeId)))}`,
    runInside,
    close,
  };
}
