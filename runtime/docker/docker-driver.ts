import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { withLock } from '../../lib/async/file-lock.ts';
import { InstanceDiskFullError } from '../driver.ts';
import type {
  Endpoint,
  LogLine,
  MutationCall,
  QuarantinedRuntime,
  RuntimeActivity,
  RuntimeDriver,
  RuntimeExit,
  RuntimePaths,
  RuntimeSpec,
  RuntimeState,
  SkillFile,
  SuspendAnswer,
} from '../driver.ts';
import type { RuntimeFiles } from '../driver-files.ts';
import { highestEpoch, raiseEpoch } from '../host/epoch-fence.ts';
import { exists } from '../host/missing-files.ts';
import { giveBack, isSetAside, quarantinedIn, removeQuarantined, setAside } from '../host/quarantine.ts';
import { gatewayPathsOf, layoutOf } from '../host/runtime-layout.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { replaceSkillTree } from '../host/skill-tree.ts';
import { explainingStorage } from '../host/storage-error.ts';
import type { FilesRequest } from '../inside/file-changes.ts';
import { createWorkspaceFiles } from '../inside/workspace-files.ts';
import { gatewayContainer } from './container-profile.ts';
import { fillState, readState } from './container-state-archive.ts';
import { containerFiles } from './container-files.ts';
import type { Beside } from './container-files.ts';
import { linesOfContainer } from './container-logs.ts';
import { findContainer, killContainer, removeContainers, signalContainer, waitUntilGone } from './container-end.ts';
import { endpointOf, readActivity, stateOf } from './container-state.ts';
import type { Container } from './container-state.ts';
import { shareCpu } from './cpu-share.ts';
import { Engine } from './engine.ts';
import type { DockerDriverOptions } from './driver-options.ts';
import { explainingEngine } from './engine-storage.ts';
import { STATE_DIR } from './in-container.ts';
import { changeFiles } from './instance-files.ts';
import { ensureNetwork, removeNetworks } from './instance-network.ts';
import { releaseUid } from './instance-user.ts';
import { accessTo, ensureStorage, hasStorage, releaseStorage, removeStorage } from './instance-storage.ts';
import type { Access } from './instance-storage.ts';
import { lastExitOf } from './last-trace.ts';
import { namesOf } from './names.ts';
import type { Names } from './names.ts';
import { applyConfig, makeDirectories } from './our-files.ts';
import { listRuntimeIds } from './runtime-list.ts';
import { isSuspended, resumeContainer, suspendContainer } from './suspended-container.ts';
import { forgetStopping, isStopping, markStopping } from './stopping-mark.ts';
import { ensureWalls } from './walls.ts';

/** Longer than any critical section takes, a start on a busy machine included. */
const LOCK_MS = 120_000;
/** What a gateway that an earlier stop has told to end gets to do so. */
const STOPPING_MS = 5_000;
/** An engine that is away says nothing of the instance: a change waits for it, within what a step may take. */
const AWAY_MS = 120_000;

/**
 * Runs each gateway in its own hardened container, with its own storage and network, behind walls in the
 * host's firewall. What is ours (configuration, skills, epochs) lies under `<dataDir>/runtimes` and is mounted read-only.
 */
export class DockerDriver implements RuntimeDriver {
  readonly kind = 'docker';
  readonly files: RuntimeFiles;
  readonly pin: () => Promise<string>;
  readonly #options: DockerDriverOptions;
  readonly #engine: Engine;
  readonly #names: Names;
  readonly #beside: Beside;

  constructor(options: DockerDriverOptions) {
    this.#options = options;
    this.pin = options.image;
    this.#engine = new Engine(options.socketPath);
    this.#names = namesOf(options.dataDir, options.installationId);
    const { labelsOf } = this.#names;
    const open = (runtimeId: string, signal: AbortSignal) => this.#accessTo(runtimeId, signal);
    this.#beside = { engine: this.#engine, labelsOf, image: options.image, accessTo: open };
    this.files = createWorkspaceFiles(containerFiles(this.#beside));
  }

  async ensureRunning(spec: RuntimeSpec, call: MutationCall): Promise<void> {
    await this.#mutate(spec.runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      const container = await this.#find(spec.runtimeId);
      await applyConfig(layout, spec);
      const isHalted = container !== null && (await isSuspended(layout, container));
      if (container?.State.Running && !isHalted && !(await isStopping(layout, container))) return;
      if (container?.State.Running && !isHalted) await waitUntilGone(this.#engine, container, STOPPING_MS);
      await this.#create(layout, spec.runtimeId, call.signal);
    });
  }

  async writeConfig(spec: RuntimeSpec, call: MutationCall, options?: { again: boolean }): Promise<void> {
    await this.#mutate(spec.runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      await applyConfig(layout, spec, options);
    });
  }

  async stop(runtimeId: string, { graceMs }: { graceMs: number }, call: MutationCall): Promise<void> {
    const told = await this.#mutate(runtimeId, call, async (layout) => {
      const container = await this.#find(runtimeId);
      if (!container?.State.Running) return null;
      await markStopping(layout, container);
      if (await isSuspended(layout, container)) return null;
      await signalContainer(this.#engine, container, 'SIGTERM');
      return container;
    });
    // Without the lock, so that a destroy need not wait for the grace.
    if (told) await waitUntilGone(this.#engine, told, graceMs, call.signal);
    await this.#mutate(runtimeId, call, async () => killContainer(this.#engine, await this.#find(runtimeId)));
  }

  async suspend(runtimeId: string, call: MutationCall): Promise<SuspendAnswer> {
    return this.#mutate(runtimeId, call, async (layout) =>
      suspendContainer(this.#engine, { layout, container: await this.#find(runtimeId), signal: call.signal }),
    );
  }

  async resume(runtimeId: string, call: MutationCall): Promise<boolean> {
    return this.#mutate(runtimeId, call, async (layout) =>
      resumeContainer(this.#engine, { layout, container: await this.#find(runtimeId) }),
    );
  }

  async destroy(runtimeId: string, call: MutationCall): Promise<void> {
    await this.#locked(runtimeId, call, async (layout) => {
      await this.#removeCompute(runtimeId);
      await removeStorage(this.#engine, this.#names, this.#storageOf(runtimeId, layout, call.signal));
      await rm(layout.root, { recursive: true, force: true });
      await removeQuarantined(layout);
      await releaseUid(this.#options.dataDir, runtimeId);
    });
  }

  /** A volume stays where it is, because the engine renames none; its runtime counts as quarantined by our directory. */
  async quarantine(runtimeId: string, { at }: { at: Date }, call: MutationCall): Promise<void> {
    await this.#locked(runtimeId, call, async (layout) => {
      await this.#removeCompute(runtimeId);
      await releaseStorage(this.#engine, this.#names, this.#storageOf(runtimeId, layout, call.signal));
      await setAside(layout, at);
    });
  }

  async restore(runtimeId: string, call: MutationCall): Promise<void> {
    await this.#locked(runtimeId, call, giveBack);
  }

  listQuarantined(): Promise<QuarantinedRuntime[]> {
    return quarantinedIn(this.#options.dataDir);
  }

  fenceOf(runtimeId: string): Promise<number> {
    return highestEpoch(this.#layout(runtimeId));
  }

  async inspect(runtimeId: string): Promise<RuntimeState> {
    const [layout, container] = [this.#layout(runtimeId), await this.#find(runtimeId)];
    if (container) return stateOf(runtimeId, container, { isSuspended: await isSuspended(layout, container) });
    const hasAny = (await exists(layout.root)) || (await hasStorage(this.#engine, this.#names, { runtimeId, layout }));
    return { runtimeId, status: hasAny && !(await isSetAside(layout)) ? 'exited' : 'absent', startedAt: null };
  }

  async activityOf(runtimeId: string): Promise<RuntimeActivity | null> {
    const container = await this.#find(runtimeId);
    return container && readActivity(this.#engine, container);
  }

  async giveWay(runtimeId: string, givesWay: boolean): Promise<void> {
    await shareCpu(this.#engine, await this.#find(runtimeId), givesWay);
  }

  async list(): Promise<RuntimeState[]> {
    const ids = await listRuntimeIds(this.#engine, this.#names, this.#options.dataDir);
    return Promise.all(ids.map((runtimeId) => this.inspect(runtimeId)));
  }

  async endpoint(runtimeId: string): Promise<Endpoint | null> {
    const container = await this.#find(runtimeId);
    return container && !(await isSuspended(this.#layout(runtimeId), container)) ? endpointOf(container) : null;
  }

  async exitOf(runtimeId: string): Promise<RuntimeExit | null> {
    const container = await this.#find(runtimeId);
    return container && lastExitOf(this.#engine, container);
  }

  async logs(runtimeId: string, limit: number): Promise<LogLine[]> {
    return linesOfContainer(this.#engine, this.#names.of(runtimeId), limit);
  }

  async putFiles(runtimeId: string, directory: string, files: ReadonlyMap<string, Buffer>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, (layout) => this.#changeFiles(runtimeId, layout, { put: { directory, files } }, call));
  }

  async removePaths(runtimeId: string, paths: readonly string[], call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async (layout) => {
      if (!(await hasStorage(this.#engine, this.#names, { runtimeId, layout }))) return;
      await this.#changeFiles(runtimeId, layout, { remove: paths }, call);
    });
  }

  async replaceSkills(runtimeId: string, files: ReadonlyMap<string, SkillFile>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      await replaceSkillTree(layout, files, { isMounted: true });
    });
  }

  readState(runtimeId: string, signal: AbortSignal): Promise<AsyncIterable<Buffer> | null> {
    return readState(this.#beside, runtimeId, signal);
  }

  async replaceState(runtimeId: string, archive: AsyncIterable<Buffer>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      const storage = this.#storageOf(runtimeId, layout, call.signal);
      await ensureStorage(this.#engine, this.#names, storage);
      const beside = { ...this.#beside, accessTo: () => accessTo(this.#engine, this.#names, storage, null) };
      await fillState(beside, runtimeId, archive, call);
    });
  }

  relayUrl(): string {
    return `http://${this.#options.walls.relay.host}:${this.#options.walls.relay.port}/v1`;
  }

  paths(_runtimeId: string): RuntimePaths {
    return gatewayPathsOf({ stateDir: STATE_DIR });
  }

  #layout(runtimeId: string): RuntimeLayout {
    const layout = layoutOf(this.#options.dataDir, runtimeId);
    // Not in the state, which is the instance's own volume.
    return { ...layout, skillsDir: join(layout.root, 'skills') };
  }

  #find(runtimeId: string): Promise<Container | null> {
    return findContainer(this.#engine, this.#names, runtimeId);
  }

  #storageOf(runtimeId: string, layout: RuntimeLayout, signal: AbortSignal) {
    const { image, diskMb, dataDir, firstUid } = this.#options;
    return { runtimeId, layout, image, diskMb, dataDir, firstUid, signal };
  }

  /** A new container each time: its profile is the present one, and nothing of the last one is in its way. */
  async #create(layout: RuntimeLayout, runtimeId: string, signal: AbortSignal): Promise<void> {
    const { limits, walls, subnets, runtime } = this.#options;
    const image = await this.#options.image();
    // All runtimes share the walls, and this start holds only the lock of its own runtime.
    const wallsLock = join(dirname(layout.lockFile), '.walls.lock');
    await withLock(wallsLock, { signal, timeoutMs: LOCK_MS }, () => ensureWalls(this.#engine, this.#names, { image, ...walls }));
    await removeContainers(this.#engine, this.#names, runtimeId);
    await forgetStopping(layout);
    await ensureNetwork(this.#engine, this.#names, runtimeId, subnets);
    const [name, labels] = [this.#names.of(runtimeId), this.#names.labelsOf(runtimeId)];
    const storage = await ensureStorage(this.#engine, this.#names, this.#storageOf(runtimeId, layout, signal));
    if (storage.isFull) throw new InstanceDiskFullError(`The disk of ${runtimeId} is full: its gateway cannot start on it.`);
    const { mount: state, user } = storage;
    const body = gatewayContainer({ name, image, labels, limits, resolvers: walls.resolvers, state, layout, user, runtime });
    signal.throwIfAborted();
    await this.#engine.call('POST', '/containers/create', { query: { name }, body });
    await this.#engine.call('POST', `/containers/${name}/start`);
  }

  async #changeFiles(runtimeId: string, layout: RuntimeLayout, request: FilesRequest, { signal }: MutationCall): Promise<void> {
    const storage = this.#storageOf(runtimeId, layout, signal);
    const { state, user } = await accessTo(this.#engine, this.#names, storage, await this.#find(runtimeId));
    const [image, labels] = [await this.#options.image(), this.#names.labelsOf(runtimeId)];
    await changeFiles(this.#engine, request, { image, state, user, labels, signal });
  }

  /** What a program needs that works on files of an instance; null when that has no storage, or none in its place. */
  async #accessTo(runtimeId: string, signal: AbortSignal): Promise<Access | null> {
    const layout = this.#layout(runtimeId);
    if ((await isSetAside(layout)) || !(await hasStorage(this.#engine, this.#names, { runtimeId, layout }))) return null;
    return this.#withLock(layout, signal, async () =>
      accessTo(this.#engine, this.#names, this.#storageOf(runtimeId, layout, signal), await this.#find(runtimeId)),
    );
  }

  async #removeCompute(runtimeId: string): Promise<void> {
    await removeContainers(this.#engine, this.#names, runtimeId);
    await removeNetworks(this.#engine, this.#names, runtimeId);
  }

  /** A change on behalf of the instance that owns the runtime. */
  #mutate<T>(runtimeId: string, call: MutationCall, work: (layout: RuntimeLayout) => Promise<T>): Promise<T> {
    return this.#locked(runtimeId, call, async (layout) => {
      await giveBack(layout);
      return work(layout);
    });
  }

  /** One change of one runtime at a time on this machine, and none by an attempt that a newer one has replaced. */
  #locked<T>(runtimeId: string, call: MutationCall, work: (layout: RuntimeLayout) => Promise<T>): Promise<T> {
    const layout = this.#layout(runtimeId);
    return this.#withLock(layout, call.signal, async () => {
      await raiseEpoch(layout, runtimeId, call.epoch);
      return work(layout);
    });
  }

  #withLock<T>({ lockFile }: RuntimeLayout, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return explainingStorage(this.#options.dataDir, () =>
      explainingEngine(async () => {
        await this.#engine.awaitAnswer({ signal, timeoutMs: AWAY_MS });
        await mkdir(dirname(lockFile), { recursive: true, mode: 0o700 });
        return withLock(lockFile, { signal, timeoutMs: LOCK_MS }, work);
      }),
    );
  }
}
