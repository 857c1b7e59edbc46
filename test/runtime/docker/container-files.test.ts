import { describe, jest } from '@jest/globals';
import { hasEngine, TEST_MS } from '../../support/docker-under-test.ts';
import { describeFiles, PLACE } from '../files/files-contract.ts';
import type { FilesHarness } from '../files/files-contract.ts';
import { openStandIns } from './stand-ins-under-test.ts';

jest.setTimeout(TEST_MS);

/** Programs of the agent run in the container of its gateway, which has to be there for them. */
async function openHarness(settings: { INSTANCE_DISK_MB?: number }): Promise<FilesHarness> {
  const instances = await openStandIns(settings);
  const { driver, call } = instances;
  await driver.putFiles(PLACE.runtimeId, `workspaces/${PLACE.gatewayAgentId}`, new Map([['first', Buffer.from('')]]), call());
  await driver.removePaths(PLACE.runtimeId, [`workspaces/${PLACE.gatewayAgentId}/first`], call());
  return {
    driver,
    call,
    // Each page is a container of its own; the program in it is the one that a process has.
    pageSizes: [3, 8],
    async run(script) {
      if ((await driver.inspect(PLACE.runtimeId)).status !== 'running') await instances.start(PLACE.runtimeId);
      return instances.runInside(PLACE.runtimeId, `set -e; cd workspaces/${PLACE.gatewayAgentId}; ${script}`);
    },
    close: () => instances.close(),
  };
}

(hasEngine ? describe : describe.skip)('with an engine', () => {
  describeFiles('a container with a volume', () => openHarness({}));
  describeFiles('a container with a disk', () => openHarness({ INSTANCE_DISK_MB: 256 }));
});
