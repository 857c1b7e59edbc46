import { docker, openDocker } from '../../support/docker-under-test.ts';
import { describeSuspension } from '../suspend-contract.ts';
import { scriptedImage } from './stand-in-images.ts';

describeSuspension('docker', async () => {
  const { names, openDriver, runInside, close } = await openDocker({ INSTANCE_IMAGE: await scriptedImage() });
  const pidsOf = async (runtimeId: string): Promise<number[]> => {
    const listed = await docker('top', names.of(runtimeId), '-eo', 'pid');
    return listed.split('\n').slice(1).filter(Boolean).map(Number);
  };
  return {
    openDriver,
    killGateway: async (runtimeId) => void (await docker('kill', names.of(runtimeId))),
    environmentOf: async (runtimeId) => docker('inspect', names.of(runtimeId)),
    runInside,
    pidsOf,
    close,
  };
});
