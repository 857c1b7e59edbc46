import { describe } from '@jest/globals';
import { docker, openDocker } from '../support/docker-under-test.ts';
import { describeDriver } from './driver-contract.ts';
import type { DriverHarness } from './driver-contract.ts';
import { scriptedImage } from './docker/stand-in-images.ts';

/** The gateway is the one child of the container's first process. */
const GATEWAY_PID = '$(pgrep -P 1 -o)';

const DISK_MB = 256;

describe('on the engine', () => {
  describeDriver('docker', { areSkillsMounted: true }, () => createHarness({}));
  // What differs is the storage: which gateway uses it makes no difference to the driver.
  describeDriver('docker, with a disk each', { areSkillsMounted: true }, async () =>
    createHarness({ INSTANCE_DISK_MB: DISK_MB, INSTANCE_IMAGE: await scriptedImage() }),
  );
});

async function createHarness(settings: Parameters<typeof openDocker>[0]): Promise<DriverHarness> {
  const { names, openDriver, runInside, close } = await openDocker(settings);
  return {
    openDriver,
    killGateway: async (runtimeId) => void (await runInside(runtimeId, `kill -9 ${GATEWAY_PID}`).catch(() => '')),
    environmentOf: async (runtimeId) =>
      `${await runInside(runtimeId, `cat /proc/${GATEWAY_PID}/environ`)}\n${await docker('inspect', names.of(runtimeId))}`,
    runInside,
    close,
  };
}
