import type { RuntimeFiles } from './driver-files.ts';

/**
 * The seam between the control plane and whatever runs an OpenClaw gateway.
 *
 * Every call is idempotent: what is already there and what is already gone is success.
 * Every mutation carries the epoch of the attempt that makes it. The driver keeps the highest epoch it has
 * seen per runtime in a place that outlives the compute, and refuses a lower one with StaleEpochError, so that
 * a zombie attempt harms nothing.
 */
export interface RuntimeDriver {
  readonly kind: 'process' | 'docker' | 'kubernetes';

  /** What a gateway that is started now is made of: the version of OpenClaw, or the image with it. */
  pin(): Promise<string>;

  /** What is in the workspaces of agents, for their customers. Needs no epoch: no attempt of ours changes anything there by it. */
  readonly files: RuntimeFiles;

  /**
   * Makes the gateway of this runtime run with this configuration. A gateway that already runs is adopted, and a
   * configuration that differs from its own is applied to it while it runs; one that is suspended is ended first. Returns once the
   * process exists; it may not be ready yet.
   */
  ensureRunning(spec: RuntimeSpec, call: MutationCall): Promise<void>;

  /**
   * Writes the configuration of a runtime, unless it is there already. A running gateway watches the file and applies it in
   * about a second. `again`: also when it is there, for a gateway that has missed it.
   */
  writeConfig(spec: RuntimeSpec, call: MutationCall, options?: { again: boolean }): Promise<void>;

  /** SIGTERM, then SIGKILL after graceMs; SIGKILL at once to a suspended one, which is idle. Returns when the compute is gone; storage stays. */
  stop(runtimeId: string, options: { graceMs: number }, call: MutationCall): Promise<void>;

  /**
   * Halts every process of the gateway and moves its memory to swap, until resume(). Where that cannot be done, it runs on and
   * the answer says why. An attempt that was cut off leaves it suspended: ask again, resume or stop it.
   */
  suspend(runtimeId: string, call: MutationCall): Promise<SuspendAnswer>;

  /** Lets a suspended gateway go on, the same process. False when none is suspended here any more. */
  resume(runtimeId: string, call: MutationCall): Promise<boolean>;

  /** Kills the compute and removes the storage, also a quarantined one. The epoch outlives both. */
  destroy(runtimeId: string, call: MutationCall): Promise<void>;

  /**
   * Kills the compute and puts the storage aside, with the time `at`: for a runtime that no instance owns. Any other
   * change puts the storage back first, so that an empty one never takes its place.
   */
  quarantine(runtimeId: string, options: { at: Date }, call: MutationCall): Promise<void>;

  /** Puts the storage of a quarantined runtime back in its place. */
  restore(runtimeId: string, call: MutationCall): Promise<void>;

  /** Every runtime whose storage is put aside; list() has none of them. */
  listQuarantined(): Promise<QuarantinedRuntime[]>;

  /** The highest epoch that has changed this runtime; 0 when none has. A change needs at least this one. */
  fenceOf(runtimeId: string): Promise<number>;

  inspect(runtimeId: string): Promise<RuntimeState>;

  /** What the compute of a runtime does; null when no gateway runs. */
  activityOf(runtimeId: string): Promise<RuntimeActivity | null>;

  /**
   * Has the compute of a runtime give way to all others where CPU time or memory is scarce, or no longer. Changes nothing where the machine
   * cannot do that; a driver without it treats all alike.
   */
  giveWay?(runtimeId: string, givesWay: boolean): Promise<void>;

  /** Every runtime that has compute or storage here and is not quarantined. */
  list(): Promise<RuntimeState[]>;

  /** Where and how to connect; null when no gateway runs, or it is suspended. */
  endpoint(runtimeId: string): Promise<Endpoint | null>;

  /**
   * When and how the last gateway process of this runtime ended; null while it runs or when that is not known. Ask
   * before the next start, which forgets it. When only its absence is known, `at` is its last trace: never too late,
   * and about half a minute early at most.
   */
  exitOf(runtimeId: string): Promise<RuntimeExit | null>;

  /** The gateway's own last lines, oldest first. */
  logs(runtimeId: string, limit: number): Promise<LogLine[]>;

  /**
   * Writes files below a directory of the instance, as the instance's own user, never following a link. The directory
   * is one that paths() names or relative to the state directory; what leaves it is refused.
   */
  putFiles(runtimeId: string, directory: string, files: ReadonlyMap<string, Buffer>, call: MutationCall): Promise<void>;

  /** Removes files, links themselves and whole directories, named in the same two ways, never following a link. */
  removePaths(runtimeId: string, paths: readonly string[], call: MutationCall): Promise<void>;

  /**
   * Makes these the skills that all agents of this runtime have: whole paths such as `weather/SKILL.md`. A running
   * gateway sees them from its next turn on, each skill whole or not at all. The agents' own changes to them go.
   */
  replaceSkills(runtimeId: string, files: ReadonlyMap<string, SkillFile>, call: MutationCall): Promise<void>;

  /**
   * What a runtime stores, whose gateway must not run, as an archive with its end (state-archive.ts); null: nothing is stored.
   * Changes nothing.
   */
  readState(runtimeId: string, signal: AbortSignal): Promise<AsyncIterable<Buffer> | null>;

  /**
   * Makes this archive, without its end, what a runtime stores, in place of all that it had; its gateway must not run. Cut off, it
   * leaves a part of it: the next call begins anew. Throws what the archive throws, and StateArchiveError.
   */
  replaceState(runtimeId: string, archive: AsyncIterable<Buffer>, call: MutationCall): Promise<void>;

  /** The base URL (ending in /v1) under which an instance reaches the model relay. */
  relayUrl(): string;

  /** The paths as the gateway of this runtime sees them, for its configuration. */
  paths(runtimeId: string): RuntimePaths;
}

export interface MutationCall {
  epoch: number;
  signal: AbortSignal;
}

export interface RuntimeSpec {
  runtimeId: string;
  /** The rendered openclaw.json, given the port that the driver chose for the gateway. */
  renderConfig: (placement: Placement) => string;
}

export interface SkillFile {
  content: Buffer;
  /** Whether it is to be run. */
  executable: boolean;
}

/** Where the gateway shall listen. */
export interface Placement {
  port: number;
  bind: 'loopback' | 'lan';
}

export interface RuntimeState {
  runtimeId: string;
  /** `suspended`: its processes are halted and do nothing until it is resumed. */
  status: 'running' | 'suspended' | 'exited' | 'absent';
  /** When the running or last process was started. */
  startedAt: Date | null;
}

/**
 * `no_swap`: the machine has none. `swap_short`: not enough of it is free. `not_permitted`: not all of its processes could be
 * halted, or their memory not be moved. `unsupported`: this driver suspends nothing.
 */
export type SuspendAnswer = 'suspended' | 'not_running' | 'no_swap' | 'swap_short' | 'not_permitted' | 'unsupported';

export interface QuarantinedRuntime {
  runtimeId: string;
  quarantinedAt: Date;
}

export interface RuntimeActivity {
  /** CPU time since the start of the gateway: of its process, or of its whole container where only that is known. */
  cpuMs: number;
  /** It was stopped by a signal or paused, so that it does nothing however idle the machine is. */
  isFrozen: boolean;
}

export interface RuntimeExit {
  at: Date;
  /** Exit code, or null when it was killed by a signal or nothing but its absence is known. */
  code: number | null;
  signal: string | null;
  /** Where it runs it was told to end, for a reason that is not its own: a node is drained, or needs room for others. */
  isDisruption?: boolean;
}

export interface Endpoint {
  /** http://host:port, for /readyz. */
  httpUrl: string;
  /** ws://host:port, for the gateway protocol. */
  wsUrl: string;
  /** What the gateway takes us for. It lets a remote peer do nothing before its device is paired. */
  peer: 'loopback' | 'remote';
}

export interface LogLine {
  at: string | null;
  text: string;
}

export interface RuntimePaths {
  stateDir: string;
  logFile: string;
  workspaceOf(gatewayAgentId: string): string;
  agentDirOf(gatewayAgentId: string): string;
}

/** The path leaves the directory, or a link or file stands where a directory should be. */
export class UnsafePathError extends Error {}

/** The instance has filled its own disk. Other instances are not affected. */
export class InstanceDiskFullError extends Error {}

/** A newer attempt has touched this runtime; the one that gets this must stop. */
export class StaleEpochError extends Error {
  constructor(runtimeId: string) {
    super(`A newer attempt works on runtime ${runtimeId}`);
  }
}
