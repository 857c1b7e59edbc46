import { z } from 'zod';
import type { MutationCall, RuntimeDriver } from '../../../runtime/driver.ts';
import { openDocker } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';
import { eventually } from '../../support/eventually.ts';
import { specOf } from './instances-under-test.ts';
import { standInImage } from './stand-in-image.ts';

export const WAIT_MS = 120_000;
const answer = z.object({ length: z.literal(1024 ** 2), uid: z.number() });

/** Containers of the real driver with a small program in the gateway's place. */
export interface StandInsUnderTest extends DockerUnderTest {
  driver: RuntimeDriver;
  /** Starts one and waits until it answers. */
  start(runtimeId: string): Promise<void>;
  /** The user that it works as. Throws when it cannot do a little work, and a connection when there is a target. */
  work(runtimeId: string, target?: string): Promise<number>;
  /** For a change by a newer attempt than all before. */
  call(): MutationCall;
}

export async function openStandIns(settings: Parameters<typeof openDocker>[0]): Promise<StandInsUnderTest> {
  const docker = await openDocker({ ...settings, INSTANCE_IMAGE: await standInImage() });
  const driver = docker.openDriver();
  let epoch = 0;
  const call = (): MutationCall => ({ epoch: (epoch += 1), signal: AbortSignal.timeout(WAIT_MS) });
  const work = async (runtimeId: string, target = ''): Promise<number> => {
    const endpoint = await driver.endpoint(runtimeId);
    const response = await fetch(`${endpoint?.httpUrl}/?connect=${target}`, { signal: AbortSignal.timeout(WAIT_MS) });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${runtimeId} cannot work: ${text}`);
    return answer.parse(JSON.parse(text)).uid;
  };
  return {
    ...docker,
    driver,
    call,
    work,
    async start(runtimeId) {
      await driver.ensureRunning(specOf(driver, runtimeId), call());
      await eventually(() => work(runtimeId));
    },
  };
}
