import { dirname } from 'node:path';
import { StorageError } from '../host/storage-error.ts';
import { hardening } from './container-profile.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR } from './in-container.ts';
import { runOnce } from './run-once.ts';

export interface Disk {
  file: string;
  /** Where it is mounted on the machine of the engine. */
  directory: string;
}

export interface DiskOptions {
  /** Of the container that does it. */
  name: string;
  image: string;
  labels: Record<string, string>;
  signal: AbortSignal;
}

const SCRIPT = `${OUR_DIR}/runtime/image/disk.sh`;
const LIMITS = { memoryMb: 512, cpus: 1, pids: 32 };
const LOOP_DEVICES = ['b 7:* rwm', 'c 10:237 rwm'];

/**
 * Makes the disk unless it is there, lets it grow to `megabytes`, mends it after a power loss, mounts it, which a
 * machine that starts does not do, and makes `uid` the owner of what is on it. Answers how many MiB are free on it. One
 * call per disk at a time, while no process of its instance runs. Throws StorageError when the machine has no room for it
 * or cannot mount it.
 */
export async function mountDisk(
  engine: Engine,
  disk: Disk,
  { megabytes, uid }: { megabytes: number; uid: number },
  options: DiskOptions,
): Promise<number> {
  const words = ['mount', disk.file, String(megabytes), disk.directory, String(uid)];
  const output = await runDisk(engine, disk, words, options);
  const free = output.trim();
  if (!/^\d+$/.test(free)) throw new Error(`The disk ${disk.file} of an instance was not mounted: ${output.slice(-500)}`);
  return Number(free);
}

/** Gives its loop device back, so that the file can go. No container may have it any more. */
export async function unmountDisk(engine: Engine, disk: Disk, options: DiskOptions): Promise<void> {
  await runDisk(engine, disk, ['unmount', disk.directory], options);
}

async function runDisk(engine: Engine, disk: Disk, words: string[], options: DiskOptions): Promise<string> {
  const { stdout, stderr, exitCode } = await runOnce(engine, diskContainer(disk, words, options), options);
  if (exitCode === 0) return stdout;
  if (/no space left on device/i.test(stderr))
    throw new StorageError(
      `There is no room for the disk ${disk.file} of an instance. Free some space there, or lower INSTANCE_DISK_MB.`,
    );
  throw new StorageError(`The disk ${disk.file} of an instance cannot be used: ${stderr.trim().split('\n').at(-1)}`);
}

/** It mounts on the machine itself, so it is nearly as mighty as the engine: for a moment, and without a network. */
function diskContainer({ file, directory }: Disk, words: string[], { image, labels }: DiskOptions) {
  const [files, mounts] = [dirname(file), dirname(directory)];
  return {
    Image: image,
    User: '0:0',
    Entrypoint: [SCRIPT],
    Cmd: words,
    Env: [],
    Labels: labels,
    WorkingDir: '/',
    HostConfig: {
      ...hardening(LIMITS),
      NetworkMode: 'none',
      // Only the worker's user can enter the folder of the file.
      CapAdd: ['SYS_ADMIN', 'DAC_OVERRIDE', 'FOWNER', 'CHOWN'],
      SecurityOpt: ['no-new-privileges:true', 'apparmor=unconfined', 'label=disable'],
      DeviceCgroupRules: LOOP_DEVICES,
      // Unlike mounts, they make the folder where it is missing.
      Binds: [`${files}:${files}`, '/dev:/dev', `${mounts}:${mounts}:rshared`],
    },
  };
}
