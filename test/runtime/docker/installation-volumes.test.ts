import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeDataDirMark } from '../../../runtime/data-dir-mark.ts';
import { namesOf } from '../../../runtime/docker/names.ts';
import { refuseForeignVolumes, StoreError } from '../../../stores/check-stores.ts';
import { docker, ENGINE_SOCKET, hasEngine, openDocker } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';

const ours = 'ins_ours';
const RUNTIME = 'run_foreignvolumes';

(hasEngine ? describe : describe.skip)('volumes', () => {
  let installation: DockerUnderTest;

  beforeAll(async () => {
    installation = await openDocker();
  });
  afterAll(async () => {
    await docker('volume', 'rm', '--force', installation.names.of(RUNTIME));
    await installation.close();
  });

  /** The volume of a runtime of this installation, as its driver makes it. */
  async function volumeOf(installationId: string | undefined): Promise<void> {
    const names = namesOf(installation.settings.DATA_DIR, installationId);
    const labels = Object.entries(names.labelsOf(RUNTIME)).flatMap(([name, value]) => ['--label', `${name}=${value}`]);
    await docker('volume', 'rm', '--force', names.of(RUNTIME));
    await docker('volume', 'create', ...labels, names.of(RUNTIME));
  }
  const check = () => refuseForeignVolumes({ DATA_DIR: installation.settings.DATA_DIR, DOCKER_SOCKET: ENGINE_SOCKET }, ours);

  test('of another installation under the names of this DATA_DIR are a start that is refused in a sentence', async () => {
    await volumeOf('ins_theirs');
    await expect(check()).rejects.toThrow(StoreError);
    await expect(check()).rejects.toThrow('volumes of the installation ins_theirs');
  });

  test('of an installation that this one was adopted from are none', async () => {
    await volumeOf('ins_theirs');
    const { DATA_DIR } = installation.settings;
    await writeDataDirMark(DATA_DIR, { id: ours, canaries: {}, earlier: ['ins_theirs'] });
    await check();
    await writeDataDirMark(DATA_DIR, { id: ours, canaries: {}, earlier: [] });
    await expect(check()).rejects.toThrow(StoreError);
  });

  test('of our own, and of a version that named no installation, are none', async () => {
    for (const id of [ours, undefined]) {
      await volumeOf(id);
      await check();
    }
  });

  test('that cannot be asked for, because the engine is away, keep no worker from starting', async () => {
    await refuseForeignVolumes({ DATA_DIR: installation.settings.DATA_DIR, DOCKER_SOCKET: '/nowhere/docker.sock' }, ours);
  });
});
