/** Why a step did not do its work, as the type of the failure in the workflow's history. */
export type StepFailure =
  | 'gateway_died'
  | 'gateway_config_refused'
  | 'gateway_not_ready'
  | 'gateway_unreachable'
  | 'gateway_broken'
  | 'gateway_damaged'
  | 'gateway_flood'
  | 'agents_not_live'
  | 'storage_refused'
  | 'fenced'
  | 'disk_full'
  | 'not_placed'
  | 'node_lost'
  | 'not_moved'
  | 'step_timed_out'
  | 'unexpected';

/** Reasons that end an attempt although the instance has no fault: the workflow reads the target again. */
export type StepInterruption = 'stale_attempt' | 'worker_draining' | 'database_away' | 'gateway_slow';

/** Why an instance is not in its desired state, or a note about one that is. */
export interface StatusReason {
  /** `statusReason.code`. */
  code: string;
  /** For the customer: what happened, and what to do. */
  message: string;
  /** False when the next try would end the same way. */
  retryable: boolean;
}

const TRIED_AGAIN = 'The platform tries again automatically.';

/** The `statusReason` of an instance after each failure of a step. */
export const STEP_FAILURES = {
  gateway_died: { code: 'gateway_died', message: `The gateway process exited unexpectedly. ${TRIED_AGAIN}`, retryable: true },
  gateway_config_refused: {
    code: 'config_refused',
    message:
      'The gateway rejected its configuration. Correct the agents or skills that were changed last, then start the instance again.',
    retryable: false,
  },
  gateway_not_ready: { code: 'gateway_not_ready', message: `The gateway was not ready in time. ${TRIED_AGAIN}`, retryable: true },
  gateway_unreachable: { code: 'gateway_unreachable', message: `The gateway did not answer. ${TRIED_AGAIN}`, retryable: true },
  gateway_broken: {
    code: 'gateway_broken',
    message: `The gateway stopped accepting messages, so it is being replaced. The new gateway processes the waiting messages. ${TRIED_AGAIN}`,
    retryable: true,
  },
  gateway_damaged: {
    code: 'gateway_damaged',
    message:
      'The gateway cannot read its stored data, and a restart does not repair that. Ask the operator to restore a backup, then start the instance again.',
    retryable: false,
  },
  gateway_flood: {
    code: 'gateway_flood',
    message: `The gateway sent more data than the platform accepts from one gateway, so it is being replaced. Have the agents send less output at a time. ${TRIED_AGAIN}`,
    retryable: true,
  },
  agents_not_live: {
    code: 'config_refused',
    message:
      'The gateway did not apply the latest change of its agents or skills and keeps the previous configuration. Make the change again.',
    retryable: true,
  },
  storage_refused: {
    code: 'storage_refused',
    message: `The platform cannot write to its storage. ${TRIED_AGAIN}`,
    retryable: true,
  },
  fenced: {
    code: 'fenced',
    message: `Another installation of the platform is changing the storage of the instance. ${TRIED_AGAIN}`,
    retryable: true,
  },
  disk_full: {
    code: 'disk_full',
    message:
      'The gateway cannot start because the disk of the instance is full, including the space reserved for cleaning up. Ask the operator for a larger disk, then start the instance again.',
    retryable: false,
  },
  not_placed: {
    code: 'no_capacity',
    message: `The platform has no machine at present that can run the instance. ${TRIED_AGAIN}`,
    retryable: true,
  },
  node_lost: {
    code: 'node_lost',
    message: `The machine of the instance does not answer, so it is not known whether the gateway runs. ${TRIED_AGAIN}`,
    retryable: true,
  },
  not_moved: {
    code: 'not_moved',
    message: `The platform could not move the instance to another of its machines. ${TRIED_AGAIN}`,
    retryable: true,
  },
  step_timed_out: { code: 'timed_out', message: `The operation took too long. ${TRIED_AGAIN}`, retryable: true },
  unexpected: { code: 'internal_error', message: `An unexpected error occurred. ${TRIED_AGAIN}`, retryable: true },
} as const satisfies Record<StepFailure, StatusReason>;

const INTERRUPTIONS: readonly string[] = [
  'stale_attempt',
  'worker_draining',
  'database_away',
  'gateway_slow',
] satisfies StepInterruption[];

export function isStepFailure(type: string | null | undefined): type is StepFailure {
  return typeof type === 'string' && Object.hasOwn(STEP_FAILURES, type);
}

export function isStepInterruption(type: string | null | undefined): type is StepInterruption {
  return typeof type === 'string' && INTERRUPTIONS.includes(type);
}

/** The message for the customer once no further attempt is made. */
export function gaveUpMessage(failure: StepFailure): string {
  const { message } = STEP_FAILURES[failure];
  return message.replace(TRIED_AGAIN, 'All attempts failed. Start the instance again, or delete it.');
}

/** The `statusReason` of an instance whose gateway runs but does not answer. */
export const GATEWAY_SLOW = {
  code: 'gateway_slow',
  message:
    'The gateway does not respond because the gateway or its machine is busy. If it does not respond for several minutes, the platform restarts it.',
  retryable: true,
} as const satisfies StatusReason;

/** The `statusReason` of an instance whose start waits because too many before it failed. */
export const START_PAUSED = {
  code: 'start_paused',
  message:
    'Several starts of the instance failed within the last hours. The next start begins automatically within half an hour.',
  retryable: true,
} as const satisfies StatusReason;

/** The `statusReason` of an instance that waits for a slot. */
export const NO_CAPACITY = {
  code: 'no_capacity',
  message: 'The maximum number of instances is running. This instance starts automatically when another instance stops.',
  retryable: true,
} as const satisfies StatusReason;

/** The failures of a gateway that runs, and whether another process would have the same one, so that none is tried. */
export const GIVEN_UP_AT_ONCE = {
  gateway_broken: false,
  gateway_damaged: true,
  gateway_flood: false,
} as const satisfies Partial<Record<StepFailure, boolean>>;

/** Notes about a running instance, as its `statusReason`. */
export const INSTANCE_NOTES = {
  file_refused: {
    code: 'file_refused',
    message:
      'A workspace file could not be written: the agent replaced it with a link or a folder, or the disk is full. Have the agent remove the link or folder or delete files, then update the file again.',
    retryable: true,
  },
  agent_damaged: {
    code: 'agent_damaged',
    message:
      'Messages to an agent fail because the gateway cannot read the data of that agent, and a restart does not repair that. Delete the agent and create it again, or ask the operator to restore a backup.',
    retryable: false,
  },
  disk_full: {
    code: 'disk_full',
    message:
      'The disk of the instance is full, so its agents cannot reply. Have an agent delete files, or ask the operator for a larger disk.',
    retryable: true,
  },
  gateway_flood: {
    code: 'gateway_flood',
    message:
      'The gateway sends more data than the platform accepts from one gateway, so its connection is closed for a while each time. If this continues, the platform restarts the gateway. Have the agents send less output at a time.',
    retryable: true,
  },
  content_drift: {
    code: 'content_drift',
    message:
      'The agents, skills or secrets in the gateway differed from those of the instance, so the platform applied them again.',
    retryable: false,
  },
} as const satisfies Record<string, StatusReason>;

export type InstanceNote = keyof typeof INSTANCE_NOTES;
