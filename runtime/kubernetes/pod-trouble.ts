import type { RawPod } from './pod-state.ts';

type Status = RawPod['status'];

/** Makes the folders of a claim, and waits for the walls. */
export const LAYOUT_CONTAINER = 'layout';

/** Reasons for which the kubelet cannot start a container, and what an operator does about them. */
const WAITING: Record<string, string> = {
  ErrImageNeverPull:
    'The image of instances is not on the node. Bring it there, or name one in INSTANCE_IMAGE that can be pulled.',
  ErrImagePull: 'The image of instances cannot be pulled. Check INSTANCE_IMAGE and KUBERNETES_PULL_SECRETS.',
  ImagePullBackOff: 'The image of instances cannot be pulled. Check INSTANCE_IMAGE and KUBERNETES_PULL_SECRETS.',
  InvalidImageName: 'INSTANCE_IMAGE is not the name of an image.',
  CreateContainerConfigError: 'The container cannot be made: what it mounts is missing.',
  CreateContainerError: 'The container cannot be made on its node.',
  RunContainerError: 'The container cannot be started on its node.',
};
/** Reasons that come and go while a Pod starts as it should. */
const PASSING = new Set(['PodInitializing', 'ContainerCreating']);

/** Why a Pod does not run, in words for an operator; null where nothing is wrong that can be seen. */
export function troubleOf({ status, spec }: Pick<RawPod, 'status' | 'spec'>): string | null {
  return (
    evicted(status) ??
    unscheduled(status) ??
    unprepared(status) ??
    waiting(status) ??
    nodeLost(status, spec.nodeName ?? 'unknown')
  );
}

function evicted({ phase, reason, message }: Status): string | null {
  if (reason === 'Evicted') return `The node has evicted the Pod. ${message ?? ''}`.trim();
  return phase === 'Failed' && reason !== undefined ? `The node has ended the Pod (${reason}). ${message ?? ''}`.trim() : null;
}

function unscheduled({ conditions }: Status): string | null {
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return null;
  return `No node takes the Pod (${scheduled.reason ?? 'not scheduled'}): ${scheduled.message ?? 'no reason is given'}`;
}

/** What runs before the gateway has failed. */
function unprepared({ initContainerStatuses }: Status): string | null {
  const { exitCode = 0, message } = initContainerStatuses.find(({ name }) => name === LAYOUT_CONTAINER)?.state.terminated ?? {};
  return exitCode === 0 ? null : `The Pod could not be prepared (exit code ${exitCode}). ${message ?? ''}`.trim();
}

function waiting({ initContainerStatuses, containerStatuses }: Status): string | null {
  for (const { state } of [...initContainerStatuses, ...containerStatuses]) {
    const { reason, message } = state.waiting ?? {};
    if (reason !== undefined && !PASSING.has(reason)) return `${WAITING[reason] ?? reason} ${message ?? ''}`.trim();
  }
  return null;
}

/** The control plane of the cluster says so once the node has been silent for its grace. */
function nodeLost({ conditions, containerStatuses }: Status, node: string): string | null {
  const isRunning = containerStatuses.some(({ state }) => state.running);
  const disrupted = conditions.find(({ type, status }) => type === 'DisruptionTarget' && status === 'True');
  if (disrupted) return `Node ${node}: ${disrupted.message ?? disrupted.reason ?? 'its Pods are being ended'}`;
  const ready = conditions.find(({ type }) => type === 'Ready');
  const isSilent = isRunning && ready?.status === 'False' && ready.reason === undefined;
  return isSilent ? `Node ${node} does not answer.` : null;
}
