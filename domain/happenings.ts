import type { GIVEN_UP_AT_ONCE, InstanceNote, StepFailure } from './failures.ts';
import type { LifecycleRow, PowerAction, WorkingStep } from './lifecycle.ts';

/** What is wanted of an instance and how it stands: the columns of its row that only `next` changes. */
export interface Lifecycle extends Omit<LifecycleRow, 'hasOpenInterval' | 'hasWaitingTurn' | 'isGone'> {
  transitionStartedAt: Date | null;
  transitionAttempt: number;
  transitionStep: string | null;
  reasonCode: string | null;
  reasonMessage: string | null;
  reasonAt: Date | null;
  reasonRetryable: boolean | null;
  epoch: number;
  killFirst: boolean;
  /** Which runtime its state is copied to, on the node that it moves to. */
  moveRuntimeId: string | null;
  startNotBefore: Date | null;
  restartNotBefore: Date | null;
  queuedAt: Date | null;
  deaths: Date[];
  failedStarts: Date[];
  breakdowns: Date[];
  giveUpFor: StepFailure | null;
  deletedAt: Date | null;
  startedAt: Date | null;
  stoppedAt: Date | null;
  /** Since when `sleepState` is what it is; null: always. */
  sleepSince: Date | null;
  /** When a sleeper wakes for its next job. */
  wakesAt: Date | null;
  /** What its next wake is expected to take; null: it was never measured. */
  wakeMs: number | null;
}

/** Why a gateway that runs is taken out of use. */
export type BreakdownFailure = keyof typeof GIVEN_UP_AT_ONCE;

/** Everything that can happen to an instance. */
export type Happening =
  /** It was asked to start, stop or be deleted. */
  | { kind: 'power-asked'; action: PowerAction }
  /** An operator wants it looked at again, also when its last start has ended in `error`. */
  | { kind: 'look-asked' }
  /** A secret changed, which needs a new gateway process. */
  | { kind: 'restart-asked' }
  /** Its agents, files or skills changed. */
  | { kind: 'content-asked' }
  /** Its gateway did not hold what it should. */
  | { kind: 'content-drifted' }
  /** The machine has no room for it. */
  | { kind: 'queued' }
  | { kind: 'slot-taken' }
  /** It has taken a gateway of the pool, whose agents have tokens of this epoch. */
  | { kind: 'claimed'; gatewayEpoch: number }
  /** An attempt of a step begins. `fence`: the highest epoch that has changed its runtime. */
  | { kind: 'step-begun'; step: WorkingStep; fence: number }
  /** The attempt does something else now, for `transition.step`. */
  | { kind: 'step-moved'; doing: string }
  /** A gateway takes messages from now on, and holds the content of this generation. */
  | { kind: 'published'; bootId: string; contentGeneration: number }
  | { kind: 'content-applied'; contentGeneration: number }
  /** No further try is made to bring the content of this generation to its gateway. */
  | { kind: 'content-given-up'; contentGeneration: number }
  /** Its gateway is about to be ended by us. */
  | { kind: 'released'; killFirst: boolean }
  /** No gateway runs, and this attempt starts one: restarts up to this generation are fulfilled by it. */
  | { kind: 'gateway-gone'; restartGeneration: number }
  /** It is idle. Its gateway takes no messages any more and is to be suspended or ended. */
  | { kind: 'fell-asleep'; wakesAt: Date | null }
  /** The gateway of a sleeper has ended. */
  | { kind: 'gateway-asleep' }
  /** The gateway of a sleeper is suspended. */
  | { kind: 'gateway-suspended' }
  /** The suspended gateway of a sleeper is to be ended, or has ended. */
  | { kind: 'suspension-ended' }
  /** A sleeper is used again. */
  | { kind: 'woken' }
  /** A sleeper cannot be woken for its job yet. */
  | { kind: 'wake-postponed'; wakesAt: Date }
  /** An operator moves it to this node, where this runtime is to have its state. */
  | { kind: 'move-asked'; nodeId: number; runtimeId: string }
  /** Its gateway has ended, so that its state can be copied. */
  | { kind: 'vacated' }
  /** Its state is whole in the runtime that it was copied to, which is its own from now on. */
  | { kind: 'moved' }
  /** It stays where it is. */
  | { kind: 'move-given-up' }
  | { kind: 'stopped' }
  | { kind: 'destroyed' }
  /** Its gateway ended without being told to by us. `killFirst`: it may still run. `isDisruption`: where it ran it was told to, for no fault of its own. */
  | { kind: 'died'; endedAt: Date | null; killFirst: boolean; isDisruption?: boolean }
  /** Its gateway had ended, and no worker had noted the death. */
  | { kind: 'found-lost' }
  | { kind: 'broke-down'; failure: BreakdownFailure }
  | { kind: 'start-failed'; failure: StepFailure; fence: number }
  /** No further start is tried. */
  | { kind: 'given-up'; failure: StepFailure }
  /** A step other than a start failed. */
  | { kind: 'change-failed'; failure: StepFailure }
  | { kind: 'noted'; note: InstanceNote }
  /** Its gateway floods no more. */
  | { kind: 'calmed' }
  /** The control plane of this machine ends: an instance that is wanted to run runs again at its next start. */
  | { kind: 'local-stop' }
  /** The storage of a deleted instance goes: nothing of an earlier attempt counts any more. */
  | { kind: 'tombstone-raised'; fence: number };
