import type { ContainerLimits } from './container-profile.ts';
import type { WallsOptions } from './walls.ts';

/** What the driver of containers is made from. */
export interface DockerDriverOptions {
  dataDir: string;
  /** For the labels of what is made. */
  installationId: string | undefined;
  socketPath: string;
  /** The image of instances; asked for when one is to be started. */
  image: () => Promise<string>;
  limits: ContainerLimits;
  /** One of the engine's; undefined: its default. */
  runtime: string | undefined;
  /** The first user id of instances; each instance has its own. */
  firstUid: number;
  /** What one instance may store: the size of its disk. Undefined: no disk, and no limit. */
  diskMb: number | undefined;
  walls: Omit<WallsOptions, 'image'>;
  /** The range that the networks of instances are cut from. */
  subnets: string;
}
