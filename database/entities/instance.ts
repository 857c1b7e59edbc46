import { defineEntity, p } from '@mikro-orm/postgresql';
import type { StepFailure } from '../../domain/failures.ts';
import type { DesiredStatus, InstanceStatus, TransitionKind } from '../../domain/lifecycle.ts';
import type { SleepState } from '../../domain/sleep.ts';
import { Account } from './account.ts';
import { counter, moment } from './columns.ts';

/** Where a gateway process listens. */
export interface GatewayAddress {
  bootId: string;
  /** ws://host:port, for the gateway protocol. */
  wsUrl: string;
  /** What the gateway takes us for. */
  peer: 'loopback' | 'remote';
}

const InstanceSchema = defineEntity({
  name: 'Instance',
  tableName: 'instances',
  uniques: [{ name: 'instances_runtime_unique', properties: ['runtimeId'] }],
  indexes: [
    { name: 'instances_account_index', properties: ['account', 'createdAt', 'id'] },
    {
      name: 'instances_shard_index',
      expression: 'create index "instances_shard_index" on "instances" ("shard") where boot_id is not null',
    },
    {
      name: 'instances_slot_index',
      expression: 'create index "instances_slot_index" on "instances" ("id") where has_slot',
    },
    {
      name: 'instances_live_index',
      expression: 'create index "instances_live_index" on "instances" ("account_id") where deleted_at is null',
    },
    {
      name: 'instances_queued_index',
      expression: 'create index "instances_queued_index" on "instances" ("queued_at") where queued_at is not null',
    },
    {
      name: 'instances_wakes_index',
      expression: 'create index "instances_wakes_index" on "instances" ("wakes_at") where wakes_at is not null',
    },
    {
      name: 'instances_suspended_index',
      expression: 'create index "instances_suspended_index" on "instances" ("suspended_at") where suspended_at is not null',
    },
    {
      name: 'instances_move_index',
      expression: 'create index "instances_move_index" on "instances" ("move_node_id") where move_node_id is not null',
    },
  ],
  checks: [
    { name: 'instances_status_known', expression: "status in ('provisioning', 'running', 'stopped', 'destroying', 'error')" },
    { name: 'instances_desired_known', expression: "desired_status in ('running', 'stopped', 'destroyed')" },
    { name: 'instances_sleep_known', expression: "sleep_state in ('awake', 'asleep', 'waking')" },
  ],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('instances_account_fk').index(false),
    name: p.text(),
    /** Pairs of the customer's own. */
    metadata: p.json<Record<string, string>>().defaultRaw("'{}'"),
    /** Names its directory, container, tokens: an instance can take over a runtime that was started before it existed. */
    runtimeId: p.text(),
    createdAt: moment(),
    /** A tombstone from then on: not found outside, but the ledger and the sequence point at it. */
    deletedAt: moment().strictNullable().default(null),

    desiredStatus: p.text().$type<DesiredStatus>(),
    /** Counts accepted starts, stops and destroys. A newer one cancels the step that is under way. */
    powerGeneration: counter().default(1),
    /** Counts changes of agents, files, skills. Never cancels a step. */
    contentGeneration: counter().default(0),
    appliedContentGeneration: counter().default(0),
    /** Counts what needs a new gateway process. */
    restartGeneration: counter().default(0),
    appliedRestartGeneration: counter().default(0),

    status: p.text().$type<InstanceStatus>(),
    transitionKind: p.text().$type<TransitionKind>().strictNullable(),
    transitionStartedAt: moment().strictNullable(),
    transitionAttempt: p.integer().default(0),
    transitionStep: p.text().strictNullable(),
    reasonCode: p.text().strictNullable().default(null),
    reasonMessage: p.text().strictNullable().default(null),
    reasonAt: moment().strictNullable().default(null),
    reasonRetryable: p.boolean().strictNullable().default(null),
    /** The power generation that ended in `error`. */
    errorGeneration: counter().strictNullable().default(null),

    /** The attempt that may change the runtime and this row; a lower one is refused. */
    epoch: counter().default(0),
    /** The gateway process that takes messages; null while none does. */
    bootId: p.text().strictNullable().default(null),
    /** Where that process listens; good only while its bootId is the one above. */
    gatewayAddress: p.json().$type<GatewayAddress>().strictNullable().default(null),
    /**
     * The attempt that started its gateway process, which the tokens of its agents carry; 0 while it is stopped. Null: the
     * process was started by a version whose tokens carry none.
     */
    gatewayEpoch: counter().strictNullable().default(null),
    /** The offers of models that its gateway was configured with, by their digest; null: by a version that kept none. */
    modelOffers: p.text().strictNullable().default(null),
    /** The gateway that was lost may still be alive: the next start ends it first. */
    killFirst: p.boolean().default(false),
    /** No start before then: a gateway that keeps dying is given a pause. */
    startNotBefore: moment().strictNullable().default(null),
    /** No restart before then: what changes until then shares it. */
    restartNotBefore: moment().strictNullable().default(null),
    /** Holds one of MAX_RUNNING slots. */
    hasSlot: p.boolean().default(false),
    /** Waits for a slot since then. */
    queuedAt: moment().strictNullable().default(null),
    /** When its gateway ended without being told to, lately. */
    deaths: p.array().columnType('timestamptz[]').$type<Date[]>().defaultRaw("'{}'"),
    /** When it died or failed to start, for longer, whatever was asked for meanwhile. */
    failedStarts: p.array().columnType('timestamptz[]').$type<Date[]>().defaultRaw("'{}'"),
    /** When its gateway was found broken while it ran, lately. */
    breakdowns: p.array().columnType('timestamptz[]').$type<Date[]>().defaultRaw("'{}'"),
    /** The failure with which the next start gives up at once, because another gateway process would not mend it. */
    giveUpFor: p.text().$type<StepFailure>().strictNullable().default(null),
    shard: p.smallint(),
    /** The runs of its cron jobs that ended until then are recorded. */
    cronRunsReadTo: moment().strictNullable().default(null),
    /** Everything that its agents said unprompted until then is recorded. */
    messagesReadTo: moment().strictNullable().default(null),

    /** How long it may be idle before it falls asleep; null: it never does. */
    sleepAfterMs: p.integer().strictNullable().default(null),
    sleepState: p.text().$type<SleepState>().default('awake'),
    /** Since when it is asleep, waking or awake again. */
    sleepSince: moment().strictNullable().default(null),
    /** When it wakes for its next job. */
    wakesAt: moment().strictNullable().default(null),
    /** How long its next wake is expected to take. */
    wakeMs: p.integer().strictNullable().default(null),
    /** Since when the gateway of a sleeper is suspended; while it wakes, until that one has answered. */
    suspendedAt: moment().strictNullable().default(null),
    /** The node that an operator moves it to; null: it stays where it is. */
    moveNode: p.integer().name('move_node_id').strictNullable().default(null),
    /** The runtime there that its state is copied to. */
    moveRuntimeId: p.text().strictNullable().default(null),
    /** When a call last used it without a trace elsewhere, so that it does not fall asleep meanwhile. */
    usedAt: moment().strictNullable().default(null),

    startedAt: moment().strictNullable().default(null),
    stoppedAt: moment().strictNullable().default(null),
  },
});

/** An OpenClaw gateway of a customer: what is wanted of it, and what is known of it. */
export class Instance extends InstanceSchema.class {}
InstanceSchema.setClass(Instance);
