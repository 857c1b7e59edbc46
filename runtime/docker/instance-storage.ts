import { join } from 'node:path';
import { exists } from '../process/missing-files.ts';
import type { RuntimeLayout } from '../process/runtime-layout.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { STATE_DIR } from './in-container.ts';
import { mountDisk, unmountDisk } from './instance-disk.ts';
import type { Disk, DiskOptions } from './instance-disk.ts';
import type { Names } from './names.ts';

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
  /** No gateway can start on what is left of it. */
  isFull: boolean;
}

/** A gateway that starts writes a few megabytes. */
const LEAST_FREE_MB = 8;

/**
 * Makes the storage of a runtime unless it is there and ready. With `diskMb` it is a disk of that size; what was made in
 * one way stays in it. No gateway may run.
 */
export async function ensureStorage(
  engine: Engine,
  names: Names,
  options: StorageOptions & { diskMb: number | undefined },
): Promise<ReadyStorage> {
  const { runtimeId, layout, diskMb, signal } = options;
  const name = names.of(runtimeId);
  const isDisk = (await hasDisk(layout)) || (diskMb !== undefined && !(await hasVolume(engine, name)));
  if (isDisk) {
    const freeMb = await mountDisk(engine, diskOf(names, options), diskMb ?? 0, await diskOptions(names, options));
    return { mount: diskMount(names, runtimeId), isFull: freeMb < LEAST_FREE_MB };
  }
  // One that is there already stays as it is.
  await engine.call('POST', '/volumes/create', { body: { Name: name, Labels: names.labelsOf(runtimeId) }, signal });
  return { mount: volumeMount(names, runtimeId), isFull: false };
}

/** What the container of a running gateway has. */
export async function storageOf(
  names: Names,
  { runtimeId, layout }: Pick<StorageOptions, 'runtimeId' | 'layout'>,
): Promise<StateMount> {
  return (await hasDisk(layout)) ? diskMount(names, runtimeId) : volumeMount(names, runtimeId);
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
  return { name: `${names.of(runtimeId)}-disk`, image: await image(), labels: names.labelsOf(runtimeId), signal };
}

function hasDisk(layout: RuntimeLayout): Promise<boolean> {
  return exists(diskFileOf(layout));
}

async function hasVolume(engine: Engine, name: string): Promise<boolean> {
  return (await engine.find(`/volumes/${name}`)) !== null;
}

function diskFileOf({ root }: RuntimeLayout): string {
  return join(root, 'disk.img');
}
