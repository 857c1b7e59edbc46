import { OUR_DIR, PROGRAM, STATE_DIR } from '../docker/in-container.ts';
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
import { logLinesOf } from '../host/gateway-output.ts';
import { gatewayPathsOf } from '../host/runtime-layout.ts';
import { fingerprintOf } from '../host/skill-tree.ts';
import { checkAnswer, requestText } from '../inside/file-changes.ts';
import type { FilesRequest } from '../inside/file-changes.ts';
import { createWorkspaceFiles } from '../inside/workspace-files.ts';
import { partsOf } from '../host/open-directory.ts';
import { awaitServer } from './await-server.ts';
import { deleteClaim, findClaim, listClaims, markQuarantine, markSkills } from './claim.ts';
import type { Claim } from './claim.ts';
import type { Cluster } from './cluster.ts';
import { deleteSecret, writeSecret } from './config-secret.ts';
import { openProgram, runProgram } from './exec.ts';
import { explainingCluster } from './explaining-cluster.ts';
import { highestEpoch, raiseEpoch } from './fence.ts';
import { uidOf } from './instance-uid.ts';
import { endPod, ensureStorage, findOurs, placeForFiles, placeGateway, removeCompute, removePod } from './placing.ts';
import { activityIn } from './pod-activity.ts';
import type { PodOptions } from './pod-body.ts';
import { logOf } from './pod-logs.ts';
import { endpointOf, exitOfPod, stateOf } from './pod-state.ts';
import { Pods } from './pods.ts';
import type { WallsSettings } from './policies.ts';
import type { PodSettings } from './settings.ts';
import { fillFrom, readArchive, readStateCommand, replaceStateCommand } from '../state-archive.ts';
import { endStart } from './start-object.ts';
import { ensureWalls } from './walls.ts';

export interface KubernetesDriverOptions {
  cluster: Cluster;
  /** The image is asked for when an instance is to be started. */
  pods: () => Promise<PodSettings>;
  walls: WallsSettings;
  /** Under which instances reach the model relay. */
  relayUrl: string;
}

const FILES_ANSWER_MS = 120_000;

/**
 * Runs each gateway in a Pod, with a claim for what it stores and a Secret for its configuration, behind NetworkPolicies. What was done
 * by a superseded attempt is refused by the API server itself: each object carries the epoch of the attempt that wrote it.
 */
export class KubernetesDriver implements RuntimeDriver {
  readonly kind = 'kubernetes';
  readonly files: RuntimeFiles;
  readonly #options: KubernetesDriverOptions;
  readonly #cluster: Cluster;
  readonly #pods: Pods;

  constructor(options: KubernetesDriverOptions) {
    this.#options = options;
    this.#cluster = options.cluster;
    this.#pods = new Pods(options.cluster);
    this.files = createWorkspaceFiles((runtimeId, signal) => this.#openFiles(runtimeId, signal));
  }

  async pin(): Promise<string> {
    return (await this.#options.pods()).image;
  }

  async ensureRunning(spec: RuntimeSpec, call: MutationCall): Promise<void> {
    await this.#mutate(spec.runtimeId, call, async () => {
      const settings = await this.#options.pods();
      await ensureWalls(this.#cluster, this.#options.walls, settings, call.signal);
      const uid = await ensureStorage(this.#cluster, this.#pods, spec.runtimeId, call, settings);
      await writeSecret(this.#cluster, spec, { uid, ...call });
      const options = this.#podOptions(spec.runtimeId, this.#cluster.names.of(spec.runtimeId), {
        uid,
        settings,
        epoch: call.epoch,
      });
      await placeGateway(this.#cluster, this.#pods, spec.runtimeId, options, call);
    });
  }

  async writeConfig(spec: RuntimeSpec, call: MutationCall): Promise<void> {
    await this.#mutate(spec.runtimeId, call, async () => {
      const uid = await ensureStorage(this.#cluster, this.#pods, spec.runtimeId, call, await this.#options.pods());
      await writeSecret(this.#cluster, spec, { uid, ...call });
      const pod = await this.#find(spec.runtimeId, call);
      if (pod && pod.status !== 'ended') await this.#pods.stamp(pod, call);
    });
  }

  async stop(runtimeId: string, { graceMs }: { graceMs: number }, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async () => {
      const pod = await this.#find(runtimeId, call);
      if (pod) await endPod(this.#pods, pod, graceMs, call.signal);
      await endStart(this.#cluster, runtimeId, call);
    });
  }

  /** A kubelet neither halts a Pod nor lets its memory go. */
  async suspend(): Promise<SuspendAnswer> {
    return 'unsupported';
  }

  async resume(): Promise<boolean> {
    return false;
  }

  async destroy(runtimeId: string, call: MutationCall): Promise<void> {
    await this.#fenced(runtimeId, call, async () => {
      const { signal } = call;
      await removeCompute(this.#cluster, this.#pods, runtimeId, call);
      const claim = await findClaim(this.#cluster, runtimeId, signal);
      if (claim) await deleteClaim(this.#cluster, claim, signal);
      await deleteSecret(this.#cluster, runtimeId, signal);
    });
  }

  async quarantine(runtimeId: string, { at }: { at: Date }, call: MutationCall): Promise<void> {
    await this.#fenced(runtimeId, call, async () => {
      await removeCompute(this.#cluster, this.#pods, runtimeId, call);
      const claim = await this.#stored(runtimeId, call.signal);
      if (claim?.quarantinedAt === null) await markQuarantine(this.#cluster, claim, at, call);
    });
  }

  async restore(runtimeId: string, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, () => Promise.resolve());
  }

  async listQuarantined(): Promise<QuarantinedRuntime[]> {
    const claims = await listClaims(this.#cluster);
    return claims.flatMap(({ runtimeId, quarantinedAt }) => (quarantinedAt ? [{ runtimeId, quarantinedAt }] : []));
  }

  fenceOf(runtimeId: string): Promise<number> {
    return highestEpoch(this.#cluster, runtimeId);
  }

  /** As the watch last told of it: what has changed a moment ago may be missing. */
  async inspect(runtimeId: string): Promise<RuntimeState> {
    const pod = await this.#known(runtimeId);
    if (pod) return stateOf(runtimeId, pod);
    const claim = await this.#stored(runtimeId);
    return { runtimeId, status: claim && !claim.quarantinedAt ? 'exited' : 'absent', startedAt: null };
  }

  async activityOf(runtimeId: string): Promise<RuntimeActivity | null> {
    const pod = await this.#known(runtimeId);
    return pod?.status === 'running' ? activityIn(this.#cluster, pod.name) : null;
  }

  async list(): Promise<RuntimeState[]> {
    const claims = await listClaims(this.#cluster);
    const known = await this.#pods.watch.known();
    const stored = claims.filter(({ quarantinedAt }) => quarantinedAt === null).map(({ runtimeId }) => runtimeId);
    const running = [...(known?.values() ?? [])].filter(({ role }) => role === 'gateway').map(({ runtimeId }) => runtimeId);
    const states = [...new Set([...stored, ...running])].map(async (runtimeId): Promise<RuntimeState> => {
      const pod = await this.#known(runtimeId);
      return pod ? stateOf(runtimeId, pod) : { runtimeId, status: 'exited', startedAt: null };
    });
    return Promise.all(states);
  }

  async endpoint(runtimeId: string): Promise<Endpoint | null> {
    const pod = await this.#known(runtimeId);
    return pod && endpointOf(pod);
  }

  async exitOf(runtimeId: string): Promise<RuntimeExit | null> {
    const pod = await this.#known(runtimeId);
    return pod && exitOfPod(pod);
  }

  async logs(runtimeId: string, limit: number): Promise<LogLine[]> {
    return logLinesOf(await logOf(this.#cluster, this.#cluster.names.of(runtimeId)), limit);
  }

  async putFiles(runtimeId: string, directory: string, files: ReadonlyMap<string, Buffer>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async () => {
      await ensureStorage(this.#cluster, this.#pods, runtimeId, call, await this.#options.pods());
      await this.#change(runtimeId, { put: { directory, files } }, call.signal);
    });
  }

  async removePaths(runtimeId: string, paths: readonly string[], call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async () => {
      if (await this.#stored(runtimeId, call.signal)) await this.#change(runtimeId, { remove: paths }, call.signal);
    });
  }

  /** Skills that are there already take no Pod. */
  async replaceSkills(runtimeId: string, files: ReadonlyMap<string, SkillFile>, call: MutationCall): Promise<void> {
    for (const path of files.keys()) partsOf(path);
    await this.#mutate(runtimeId, call, async () => {
      const digest = fingerprintOf(files);
      const before = await this.#stored(runtimeId, call.signal);
      // A claim that is new has none.
      if (before?.skills === digest || (files.size === 0 && (before?.skills ?? null) === null)) return;
      await ensureStorage(this.#cluster, this.#pods, runtimeId, call, await this.#options.pods());
      const claim = await this.#stored(runtimeId, call.signal);
      if (!claim) throw new Error(`The claim of ${runtimeId} is gone.`);
      await markSkills(this.#cluster, claim, '', call);
      await this.#change(runtimeId, { skills: files }, call.signal);
      await markSkills(this.#cluster, claim, digest, call);
    });
  }

  async readState(runtimeId: string, signal: AbortSignal): Promise<AsyncIterable<Buffer> | null> {
    const claim = await this.#stored(runtimeId, signal);
    if (!claim || claim.quarantinedAt) return null;
    return readArchive(await this.#open(runtimeId, readStateCommand(STATE_DIR), signal));
  }

  async replaceState(runtimeId: string, archive: AsyncIterable<Buffer>, call: MutationCall): Promise<void> {
    await this.#mutate(runtimeId, call, async () => {
      const { signal, epoch } = call;
      await ensureStorage(this.#cluster, this.#pods, runtimeId, call, await this.#options.pods());
      // An earlier attempt that still sends loses its Pod.
      const earlier = await this.#pods.find(this.#cluster.names.filesOf(runtimeId), signal);
      if (earlier) await removePod(this.#pods, earlier, 0, signal);
      await fillFrom(archive, await this.#open(runtimeId, replaceStateCommand(STATE_DIR, epoch), signal));
    });
  }

  relayUrl(): string {
    return this.#options.relayUrl;
  }

  paths(_runtimeId: string): RuntimePaths {
    return gatewayPathsOf({ stateDir: STATE_DIR });
  }

  #known(runtimeId: string) {
    return this.#pods.known(this.#cluster.names.of(runtimeId));
  }

  #find(runtimeId: string, call: MutationCall) {
    return findOurs(this.#pods, this.#cluster.names.of(runtimeId), call);
  }

  /** What a runtime stores; null also while it is being deleted. */
  async #stored(runtimeId: string, signal?: AbortSignal): Promise<Claim | null> {
    const claim = await findClaim(this.#cluster, runtimeId, signal);
    return claim && !claim.isDeleting ? claim : null;
  }

  #podOptions(runtimeId: string, name: string, rest: Pick<PodOptions, 'uid' | 'settings' | 'epoch'>): PodOptions {
    const { names } = this.#cluster;
    return { name, runtimeName: names.of(runtimeId), labels: names.labelsOf(runtimeId), ...rest };
  }

  /** Where programs work on the files of a runtime. */
  async #placeForFiles(runtimeId: string, signal: AbortSignal): Promise<{ pod: string; container: string }> {
    const optionsOf = async (): Promise<PodOptions> => {
      const [settings, claim, epoch] = [
        await this.#options.pods(),
        await this.#stored(runtimeId, signal),
        await this.fenceOf(runtimeId),
      ];
      const uid = claim?.userId ?? uidOf(runtimeId, settings);
      return this.#podOptions(runtimeId, this.#cluster.names.filesOf(runtimeId), { uid, settings, epoch });
    };
    return placeForFiles(this.#cluster, this.#pods, runtimeId, optionsOf, signal);
  }

  async #change(runtimeId: string, request: FilesRequest, signal: AbortSignal): Promise<void> {
    const place = await this.#placeForFiles(runtimeId, signal);
    const within = AbortSignal.any([signal, AbortSignal.timeout(FILES_ANSWER_MS)]);
    const target = { ...place, command: commandOf('instance-files.ts') };
    checkAnswer(await runProgram(this.#cluster, target, { input: requestText(request), signal: within }), { isDisk: true });
  }

  async #openFiles(runtimeId: string, signal: AbortSignal) {
    const claim = await this.#stored(runtimeId, signal);
    if (!claim || claim.quarantinedAt) return null;
    return { program: await this.#open(runtimeId, commandOf('workspace-files.ts'), signal), isDisk: true };
  }

  async #open(runtimeId: string, command: string[], signal: AbortSignal) {
    return openProgram(this.#cluster, { ...(await this.#placeForFiles(runtimeId, signal)), command }, signal);
  }

  /** A change on behalf of the instance that owns the runtime. */
  #mutate<T>(runtimeId: string, call: MutationCall, work: () => Promise<T>): Promise<T> {
    return this.#fenced(runtimeId, call, async () => {
      const claim = await this.#stored(runtimeId, call.signal);
      if (claim?.quarantinedAt) await markQuarantine(this.#cluster, claim, null, call);
      return work();
    });
  }

  /** A change by an attempt that no newer one has replaced. */
  #fenced<T>(runtimeId: string, call: MutationCall, work: () => Promise<T>): Promise<T> {
    return explainingCluster(runtimeId, async () => {
      await awaitServer(() => raiseEpoch(this.#cluster, runtimeId, call.epoch, call.signal), call.signal);
      return work();
    });
  }
}

function commandOf(program: string): string[] {
  return [PROGRAM.node, '--disable-warning=ExperimentalWarning', `${OUR_DIR}/runtime/image/${program}`];
}
