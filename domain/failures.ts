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
  | 'step_timed_out'
  | 'unexpected';

/** What ends an attempt without anything being wrong with the instance: the workflow reads the target again. */
export type StepInterruption = 'stale_attempt' | 'worker_draining' | 'database_away' | 'gateway_slow';

/** Why an instance is not as it is wanted, or what is to be said of it. */
export interface StatusReason {
  /** `statusReason.code`. */
  code: string;
  /** For the customer: what happened, and what to do. */
  message: string;
  /** False when the next try would end the same way. */
  retryable: boolean;
}

const TRIED_AGAIN = 'It is tried again by itself.';

/** What a failed step says of the instance as its `statusReason`. */
export const STEP_FAILURES = {
  gateway_died: { code: 'gateway_died', message: `The gateway ended by itself. ${TRIED_AGAIN}`, retryable: true },
  gateway_config_refused: {
    code: 'config_refused',
    message:
      'The gateway cannot run with its configuration. Change the agents or skills that were changed last, then start the instance again.',
    retryable: false,
  },
  gateway_not_ready: { code: 'gateway_not_ready', message: `The gateway was not ready in time. ${TRIED_AGAIN}`, retryable: true },
  gateway_unreachable: { code: 'gateway_unreachable', message: `The gateway did not answer. ${TRIED_AGAIN}`, retryable: true },
  gateway_broken: {
    code: 'gateway_broken',
    message: `The gateway took no messages any more, so it is being replaced. Messages that wait are answered by the next one. ${TRIED_AGAIN}`,
    retryable: true,
  },
  gateway_damaged: {
    code: 'gateway_damaged',
    message:
      'The gateway cannot read the data that it keeps, and another start would not mend that. Have the operator restore a backup, then start the instance again.',
    retryable: false,
  },
  gateway_flood: {
    code: 'gateway_flood',
    message: `The gateway sent more than the platform reads from one gateway, so it is being replaced. Have its agents say less at once. ${TRIED_AGAIN}`,
    retryable: true,
  },
  agents_not_live: {
    code: 'config_refused',
    message:
      'The gateway did not take up the latest change of its agents or skills and goes on with what it had. Change them again.',
    retryable: true,
  },
  storage_refused: {
    code: 'storage_refused',
    message: `The storage of the platform refuses to write. ${TRIED_AGAIN}`,
    retryable: true,
  },
  fenced: {
    code: 'fenced',
    message: `The storage of the instance is being changed by another installation of the platform. ${TRIED_AGAIN}`,
    retryable: true,
  },
  disk_full: {
    code: 'disk_full',
    message:
      'The disk of the instance is full, and so is what was kept for clearing up, so its gateway cannot start. Ask for a larger one, then start the instance again.',
    retryable: false,
  },
  step_timed_out: { code: 'timed_out', message: `The operation took too long. ${TRIED_AGAIN}`, retryable: true },
  unexpected: { code: 'internal_error', message: `Something unexpected went wrong. ${TRIED_AGAIN}`, retryable: true },
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

/** What the customer is told once no further try is made. */
export function gaveUpMessage(failure: StepFailure): string {
  const { message } = STEP_FAILURES[failure];
  return message.replace(TRIED_AGAIN, 'It was tried several times. Start the instance again, or delete it.');
}

/** What there is to say of an instance whose gateway runs but does not answer, as its `statusReason`. */
export const GATEWAY_SLOW = {
  code: 'gateway_slow',
  message:
    'The gateway does not answer because it is busy, or because the machine that it runs on is. When it has not answered for several minutes, it is started again.',
  retryable: true,
} as const satisfies StatusReason;

/** What there is to say of an instance whose start waits because too many before it failed, as its `statusReason`. */
export const START_PAUSED = {
  code: 'start_paused',
  message:
    'Several starts of the instance failed within the last hours, so this one waits for a while, half an hour at most, and then begins by itself.',
  retryable: true,
} as const satisfies StatusReason;

/** What there is to say of an instance that waits for room on the machine, as its `statusReason`. */
export const NO_CAPACITY = {
  code: 'no_capacity',
  message: 'The platform is full. The instance starts by itself as soon as another one stops.',
  retryable: true,
} as const satisfies StatusReason;

/** The failures of a gateway that runs, and whether another process would have the same one, so that none is tried. */
export const GIVEN_UP_AT_ONCE = {
  gateway_broken: false,
  gateway_damaged: true,
  gateway_flood: false,
} as const satisfies Partial<Record<StepFailure, boolean>>;

/** What there is to say of an instance that runs, as its `statusReason`. */
export const INSTANCE_NOTES = {
  file_refused: {
    code: 'file_refused',
    message:
      'A workspace file could not be written: the agent has put a link or a folder in its place, or has filled its disk. Have the agent remove that, then change the file again.',
    retryable: true,
  },
  agent_damaged: {
    code: 'agent_damaged',
    message:
      'The gateway cannot read the data of an agent, and a restart would not mend that: messages to this agent fail. Delete the agent and create it again, or have the operator restore a backup.',
    retryable: false,
  },
  disk_full: {
    code: 'disk_full',
    message:
      'The disk of the instance is full, so its agents cannot answer. Have an agent remove files, or ask for a larger disk.',
    retryable: true,
  },
  gateway_flood: {
    code: 'gateway_flood',
    message:
      'The gateway sends more than the platform reads from one gateway, so the connection to it is closed for a while each time. When that goes on, it is started again. Have its agents say less at once.',
    retryable: true,
  },
  content_drift: {
    code: 'content_drift',
    message: 'The gateway did not hold the agents, skills or secrets that it should, so it was given them again.',
    retryable: false,
  },
} as const satisfies Record<string, StatusReason>;

export type InstanceNote = keyof typeof INSTANCE_NOTES;
