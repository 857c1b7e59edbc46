import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, textOf } from '../host/missing-files.ts';
import { replaceFile } from '../host/replace-file.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { hardening } from './container-profile.ts';
import type { Container } from './container-state.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { OUR_DIR, STATE_DIR } from './in-container.ts';
import { mountDisk, unmountDisk } from './instance-disk.ts';
import type { Disk, DiskOptions } from './instance-disk.ts';
import { ensureUser } from './instance-user.ts';
import type { InstanceUser } from './instance-user.ts';
import type { Names } from './names.ts';
import { runOnce } from './run-once.ts';

/** How a container gets what its instance may write, as the engine's create call says it: a volume, or a disk that is mounted. */
export type StateMount = VolumeMount | DiskMount;

interface VolumeMount {
  Type: 'volume';
  Source: string;
  Target: typeof STATE_DIR;
  VolumeOptions: { Labels: Record<string, string> };
}

interface DiskMount {
  Type: 'bind';
  Source: string;
  Target: typeof STATE_DIR;
  BindOptions: { Propagation: 'rprivate' };
}

/** Whose storage it is, and what it is made with. */
export interface StorageOptions {
  runtimeId: string;
  layout: RuntimeLayout;
  image: () => Promise<string>;
  signal: AbortSignal;
}

export interface ReadyStorage {
  mount: StateMount;
  user: InstanceUser;
  /** No gateway can start on what is left of it. */
  isFull: boolean;
}

const HAND_OVER = `${OUR_DIR}/runtime/image/hand-over.sh`;
const HAND_OVER_LIMITS = { memoryMb: 128, cpus: 1, pids: 16 };
/** A gateway that starts writes a few megabytes. */
const LEAST_FREE_MB = 8;

/**
 * Makes the storage of a runtime unless it is there and ready, and all that is in it its user's. With `diskMb` it is a
 * disk of that size; what was made in one way stays in it. No gateway may run.
 */
export async function ensureStorage(
  engine: Engine,
  names: Names,
  options: StorageOptions & { diskMb: number | undefined; dataDir: string; firstUid: number },
): Promise<ReadyStorage> {
  const { runtimeId, layout, diskMb, signal } = options;
  const user = await ensureUser(options);
  const { uid } = user;
  const name = names.of(runtimeId);
  const hasOne = await hasVolume(engine, name);
  const isDisk = (await hasDisk(layout)) || (diskMb !== undefined && !hasOne);
  if (isDisk) {
    const size = { megabytes: diskMb ?? 0, uid };
    const freeMb = await mountDisk(engine, diskOf(names, options), size, await diskOptions(names, options));
    return { mount: diskMount(names, runtimeId), user, isFull: freeMb < LEAST_FREE_MB };
  }
  const mount = volumeMount(names, runtimeId);
  // One that is there already stays as it is.
  if (!hasOne) await rm(ownerFile(layout), { force: true });
  await engine.call('POST', '/volumes/create', { body: { Name: name, Labels: names.labelsOf(runtimeId) }, signal });
  if ((await textOf(ownerFile(layout))) !== String(uid)) {
    await handOver(engine, { mount, uid }, await diskOptions(names, options));
    await replaceFile(ownerFile(layout), String(uid), 0o600);
  }
  return { mount, user, isFull: false };
}

/** Makes a user the owner of all that is in a volume: a new one has that of the image, an old one that of an earlier version. */
async function handOver(
  engine: Engine,
  { mount, uid }: { mount: VolumeMount; uid: number },
  { image, labels, signal }: DiskOptions,
): Promise<void> {
  const body = {
    Image: image,
    User: '0:0',
    Entrypoint: [HAND_OVER],
    Cmd: [STATE_DIR, String(uid)],
    Env: [],
    Labels: labels,
    WorkingDir: '/',
    HostConfig: { ...hardening(HAND_OVER_LIMITS), NetworkMode: 'none', CapAdd: ['CHOWN', 'DAC_READ_SEARCH'], Mounts: [mount] },
  };
  const { stderr, exitCode } = await runOnce(engine, body, { signal });
  if (exitCode !== 0) throw new Error(`The files of an instance could not be handed over to its user: ${stderr.slice(-500)}`);
}

/** What a program needs that works on files of an instance. */
export interface Access {
  state: StateMount;
  /** As the engine's create call says it. */
  user: string;
}

/** The access to the storage of an instance beside its gateway, which runs in this container or not at all. */
export async function accessTo(
  engine: Engine,
  names: Names,
  options: Parameters<typeof ensureStorage>[2],
  container: Container | null,
): Promise<Access> {
  const { runtimeId, layout } = options;
  if (container?.State.Running) {
    const state = (await hasDisk(layout)) ? diskMount(names, runtimeId) : volumeMount(names, runtimeId);
    // One that an earlier version started has another user than the next one.
    return { state, user: container.Config.User };
  }
  const { mount, user } = await ensureStorage(engine, names, options);
  return { state: mount, user: user.name };
}

/** Whether anything of it is there. */
export async function hasStorage(
  engine: Engine,
  names: Names,
  { runtimeId, layout }: Pick<StorageOptions, 'runtimeId' | 'layout'>,
): Promise<boolean> {
  return (await hasDisk(layout)) || (await hasVolume(engine, names.of(runtimeId)));
}

/** Removes all of it but the file of a disk, which can go then. No container of the runtime may be left. */
export async function removeStorage(engine: Engine, names: Names, options: StorageOptions): Promise<void> {
  await orElse(404, null, () => engine.call('DELETE', `/volumes/${names.of(options.runtimeId)}`));
  await releaseStorage(engine, names, options);
}

/** Takes a disk off the machine, so that its file can be moved or go. No container of the runtime may be left. */
export async function releaseStorage(engine: Engine, names: Names, options: StorageOptions): Promise<void> {
  if (await hasDisk(options.layout)) await unmountDisk(engine, diskOf(names, options), await diskOptions(names, options));
}

function volumeMount(names: Names, runtimeId: string): VolumeMount {
  const VolumeOptions = { Labels: names.labelsOf(runtimeId) };
  return { Type: 'volume', Source: names.of(runtimeId), Target: STATE_DIR, VolumeOptions };
}

function diskMount(names: Names, runtimeId: string): DiskMount {
  return { Type: 'bind', Source: names.diskOf(runtimeId), Target: STATE_DIR, BindOptions: { Propagation: 'rprivate' } };
}

function diskOf(names: Names, { runtimeId, layout }: StorageOptions): Disk {
  return { file: diskFileOf(layout), directory: names.diskOf(runtimeId) };
}

async function diskOptions(names: Names, { runtimeId, image, signal }: StorageOptions): Promise<DiskOptions> {
  return { name: names.diskWorkOf(runtimeId), image: await image(), labels: names.labelsOf(runtimeId), signal };
}

function hasDisk(layout: RuntimeLayout): Promise<boolean> {
  return exists(diskFileOf(layout));
}

async function hasVolume(engine: Engine, name: string): Promise<boolean> {
  return (await engine.find(`/volumes/${name}`)) !== null;
}

/** Whose the files in the volume are. */
function ownerFile({ root }: RuntimeLayout): string {
  return join(root, 'owner');
}

function diskFileOf({ root }: RuntimeLayout): string {
  return join(root, 'disk.img');
}
