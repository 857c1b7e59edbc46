import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { withLock } from '../../lib/async/file-lock.ts';
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
import { highestEpoch, raiseEpoch } from '../host/epoch-fence.ts';
import { freePort } from '../host/free-port.ts';
import { homeOf, tempDirOf } from '../host/gateway-environment.ts';
import type { GatewayProgram } from '../host/gateway-environment.ts';
import type { RuntimeFiles } from '../driver-files.ts';
import { shareCpu } from './cpu-share.ts';
import { endFirst } from './memory-share.ts';
import { exitOfGateway } from './gateway-exit.ts';
import { lastLinesOf, trimOutput } from '../host/gateway-output.ts';
import { killAll, startGateway, waitUntilGone } from './gateway-process.ts';
import { isStopping, isSuspended, markStopping, readRecord } from './gateway-record.ts';
import { activityOfProcess } from './process-activity.ts';
import { processesOf } from './runtime-processes.ts';
import { createProcessFiles } from './process-files.ts';
import { resumeGateway, suspendGateway } from './suspended-gateway.ts';
import { isAlive, signalProcess } from '../host/process-identity.ts';
import { exists, namesIn, textOf } from '../host/missing-files.ts';
import { giveBack, quarantinedIn, removeQuarantined, setAside } from '../host/quarantine.ts';
import { replaceChanged } from '../host/replace-changed.ts';
import { gatewayPathsOf, isRuntimeId, layoutOf, runtimesDirOf } from '../host/runtime-layout.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';
import { putFilesBelow, removePathsBelow } from '../host/safe-files.ts';
import { replaceSkillTree } from '../host/skill-tree.ts';
import { pinnedVersion } from '../openclaw/install/installation.ts';
import { fillFrom, readArchive, readStateCommand, replaceStateCommand } from '../state-archive.ts';
import { openStateProgram } from './state-program.ts';
import { explainingStorage } from '../host/storage-error.ts';

export interface ProcessDriverOptions {
  dataDir: string;
  /** Null: it reads, and starts nothing. */
  program: GatewayProgram | null;
  relayUrl: string;
}

/** Longer than any critical section takes, a start on a busy machine included. */
const LOCK_MS = 60_000;
/** What a gateway that an earlier stop has told to end gets to do so: an idle one takes about a second. */
const STOPPING_MS = 5_000;

const portNumber = z.coerce.number().int().min(1).max(65_535);

/**
 * Runs each gateway as a process of this machine, with its own directory under `<dataDir>/runtimes`.
 * Gateways outlive the process that started them; any driver on the same directory takes them up.
 * Its tenants are not isolated from each other: they run as one user.
 */
export class ProcessDriver implements RuntimeDriver {
  readonly kind = 'process';
  readonly files: RuntimeFiles;
  readonly #options: ProcessDriverOptions;

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.files = createProcessFiles(options.dataDir, (runtimeId) => this.#layout(runtimeId));
  }

  pin(): Promise<string> {
    return pinnedVersion();
  }

  async ensureRunning(spec: RuntimeSpec, call: MutationCall): Promise<void> {
    const { program } = this.#options;
    if (!program) throw new Error('This driver was made without an OpenClaw installation and starts nothing');
    await this.#mutate(spec.runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      const record = await readRecord(layout);
      const isHalted = record !== null && (await isSuspended(layout, record));
      if (record && !isHalted && (await isAlive(record)) && !(await isStopping(layout, record))) {
        await applyConfig(layout, spec, await keptPort(layout));
        return;
      }
      if (record && !isHalted) await waitUntilGone(record, { withinMs: STOPPING_MS });
      await killAll(layout);
      await trimOutput(layout.outputFile);
      await applyConfig(layout, spec, await freePort(await keptPort(layout)));
      await startGateway(layout, program);
    });
  }

  async writeConfig(spec: RuntimeSpec, call: MutationCall, options?: { again: boolean }): Promise<void> {
    await this.#mutate(spec.runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      await trimOutput(layout.outputFile);
      await applyConfig(layout, spec, await keptPort(layout), options);
    });
  }

  async stop(runtimeId: string, { graceMs }: { graceMs: number }, call: MutationCall): Promise<void> {
    const record = await this.#mutate(runtimeId, call, async (layout) => {
      const running = await readRecord(layout);
      if (!running || !(await isAlive(running))) return null;
      await markStopping(layout, running);
      if (await isSuspended(layout, running)) return null;
      await signalProcess(running, 'SIGTERM');
      return running;
    });
    // Without the lock, so that a destroy need not wait for the grace.
    if (record) await waitUntilGone(record, { withinMs: graceMs, signal: call.signal });
    await this.#mutate(runtimeId, call, killAll);
  }

  suspend(runtimeId: string, call: MutationCall): Promise<SuspendAnswer> {
    return this.#mutate(runtimeId, call, (layout) => suspendGateway(layout, call.signal));
  }

  resume(runtimeId: string, call: MutationCall): Promise<boolean> {
    return this.#mutate(runtimeId, call, resumeGateway);
  }

  async destroy(runtimeId: string, call: MutationCall): Promise<void> {
    await this.#locked(runtimeId, call, async (layout) => {
      await killAll(layout);
      await rm(layout.root, { recursive: true, force: true });
      await removeQuarantined(layout);
    });
  }

  async quarantine(runtimeId: string, { at }: { at: Date }, call: MutationCall): Promise<void> {
    await this.#locked(runtimeId, call, async (layout) => {
      await killAll(layout);
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
    const layout = this.#layout(runtimeId);
    const record = await readRecord(layout);
    if (!record) return { runtimeId, status: (await exists(layout.root)) ? 'exited' : 'absent', startedAt: null };
    const { startedAt } = record;
    if (!(await isAlive(record))) return { runtimeId, status: 'exited', startedAt };
    return { runtimeId, status: (await isSuspended(layout, record)) ? 'suspended' : 'running', startedAt };
  }

  async activityOf(runtimeId: string): Promise<RuntimeActivity | null> {
    const record = await readRecord(this.#layout(runtimeId));
    return record && activityOfProcess(record);
  }

  async giveWay(runtimeId: string, givesWay: boolean): Promise<void> {
    const layout = this.#layout(runtimeId);
    const record = await readRecord(layout);
    if (!record || !(await isAlive(record))) return;
    await endFirst(await processesOf(layout), givesWay);
    await shareCpu(record.pid, givesWay ? 'small' : 'usual');
  }

  async list(): Promise<RuntimeState[]> {
    const names = await namesIn(runtimesDirOf(this.#options.dataDir));
    return Promise.all(names.filter(isRuntimeId).map((runtimeId) => this.inspect(runtimeId)));
  }

  async endpoint(runtimeId: string): Promise<Endpoint | null> {
    const layout = this.#layout(runtimeId);
    const record = await readRecord(layout);
    const port = await keptPort(layout);
    if (!record || port === null || !(await isAlive(record)) || (await isSuspended(layout, record))) return null;
    return { httpUrl: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}`, peer: 'loopback' };
  }

  exitOf(runtimeId: string): Promise<RuntimeExit | null> {
    return exitOfGateway(this.#layout(runtimeId));
  }

  async logs(runtimeId: string, limit: number): Promise<LogLine[]> {
    return lastLinesOf(this.#layout(runtimeId).outputFile, limit);
  }

  async putFiles(runtimeId: string, directory: string, files: ReadonlyMap<string, Buffer>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      await putFilesBelow(layout.stateDir, directory, files);
    });
  }

  async removePaths(runtimeId: string, paths: readonly string[], call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, (layout) => removePathsBelow(layout.stateDir, paths));
  }

  async replaceSkills(runtimeId: string, files: ReadonlyMap<string, SkillFile>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      await replaceSkillTree(layout, files);
    });
  }

  async readState(runtimeId: string, signal: AbortSignal): Promise<AsyncIterable<Buffer> | null> {
    const { stateDir } = this.#layout(runtimeId);
    return (await exists(stateDir)) ? readArchive(openStateProgram(readStateCommand(stateDir), signal)) : null;
  }

  async replaceState(runtimeId: string, archive: AsyncIterable<Buffer>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async (layout) => {
      await makeDirectories(layout);
      await fillFrom(archive, openStateProgram(replaceStateCommand(layout.stateDir, call.epoch), call.signal));
    });
  }

  relayUrl(): string {
    return this.#options.relayUrl;
  }

  paths(runtimeId: string): RuntimePaths {
    return gatewayPathsOf(this.#layout(runtimeId));
  }

  #layout(runtimeId: string): RuntimeLayout {
    return layoutOf(this.#options.dataDir, runtimeId);
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
    return explainingStorage(this.#options.dataDir, async () => {
      await mkdir(dirname(layout.lockFile), { recursive: true, mode: 0o700 });
      return withLock(layout.lockFile, { signal: call.signal, timeoutMs: LOCK_MS }, async () => {
        await raiseEpoch(layout, runtimeId, call.epoch);
        return work(layout);
      });
    });
  }
}

async function makeDirectories(layout: RuntimeLayout): Promise<void> {
  for (const directory of [layout.root, layout.configDir, layout.stateDir, homeOf(layout), tempDirOf(layout)])
    await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** Writes the configuration for this port (null: any free one), unless it is there already and not to be written again. */
async function applyConfig(
  { portFile, configFile }: RuntimeLayout,
  spec: RuntimeSpec,
  wantedPort: number | null,
  { again } = { again: false },
): Promise<void> {
  const port = wantedPort ?? (await freePort(null));
  await replaceChanged(portFile, `${port}\n`, { mode: 0o600, again: false });
  await replaceChanged(configFile, spec.renderConfig({ port, bind: 'loopback' }), { mode: 0o400, again });
}

async function keptPort({ portFile }: RuntimeLayout): Promise<number | null> {
  const text = await textOf(portFile);
  return text === null ? null : portNumber.parse(text.trim());
}
