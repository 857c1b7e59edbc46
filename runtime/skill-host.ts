import type { Config } from '../lib/settings/config.ts';
import type { DriverDeps } from './create-driver.ts';
import { IMAGE_PROGRAMS } from './docker/image-programs.ts';
import { programPath } from './host/gateway-environment.ts';
import type { SkillHost } from './openclaw/content/skill-catalogue.ts';
import { packageDirOf } from './openclaw/install/installation.ts';

/** Where the built-in skills come from and run, in this way of running instances. */
export async function skillHost(
  { RUNTIME }: Pick<Config, 'RUNTIME'>,
  { cacheDir, node }: Pick<DriverDeps, 'cacheDir' | 'node'>,
): Promise<SkillHost> {
  const packageDir = await packageDirOf(cacheDir);
  switch (RUNTIME) {
    case 'process':
      return { packageDir, path: programPath(node), platform: process.platform };
    case 'docker':
    case 'kubernetes':
      return { packageDir, programs: IMAGE_PROGRAMS, platform: 'linux' };
  }
}
