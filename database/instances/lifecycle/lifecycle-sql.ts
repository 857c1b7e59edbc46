import type { RawBuilder } from 'kysely';
import { columns } from '../../db.ts';
import { Instance } from '../../entities/instance.ts';
import { Message } from '../../entities/message.ts';
import { RuntimeInterval } from '../../entities/runtime-interval.ts';
import { sql } from '../../sql.ts';

// What domain/lifecycle.ts decides of one row, for statements that look at many. A test compares them over all states.

/** `takesMessages` for the row of `instances` of this name. */
export function takesMessages(instance: 'instances' | 'i'): RawBuilder<boolean> {
  const { status, desiredStatus, transitionKind, bootId } = columns(Instance, instance);
  return sql`${status} = 'running' and ${desiredStatus} = 'running' and ${transitionKind} is null and ${bootId} is not null`;
}

const ROW = columns(Instance, 'instances');
const MESSAGE = columns(Message, 'messages');
const INTERVAL = columns(RuntimeInterval, 'runtime_intervals');

/** The present wish for this row of `instances` has failed for good. */
const HAS_GIVEN_UP = sql<boolean>`(${ROW.status} = 'error' and ${ROW.errorGeneration} is not distinct from ${ROW.powerGeneration})`;

/** `isAsleep` for this row of `instances`. */
export const IS_ASLEEP = sql<boolean>`(${ROW.desiredStatus} = 'running' and ${ROW.status} = 'stopped' and ${ROW.sleepState} = 'asleep')`;

/** A turn waits for this row of `instances`. */
export const HAS_PENDING_TURN = sql<boolean>`exists (
  select from messages where ${MESSAGE.instance} = ${ROW.id} and ${MESSAGE.status} = 'pending')`;

/** The meter of this row of `instances` runs. */
export const HAS_OPEN_INTERVAL = sql<boolean>`exists (
  select from runtime_intervals where ${INTERVAL.instance} = ${ROW.id} and ${INTERVAL.endedAt} is null)`;

/** The gateway of this row of `instances` is suspended. */
export const IS_SUSPENDED = sql<boolean>`(${IS_ASLEEP} and ${ROW.suspendedAt} is not null)`;

/** What a sleeper has left to do: its gateway is suspended or ends, or it wakes for a message. */
export const IS_RESTLESS = sql<boolean>`(${ROW.gatewayEpoch} is distinct from 0 and ${ROW.suspendedAt} is null or ${HAS_PENDING_TURN})`;

/** This row of `instances` is wanted to run, has not given up and does not sleep. */
export const IS_WANTED = sql<boolean>`${ROW.deletedAt} is null and ${ROW.desiredStatus} = 'running' and not ${HAS_GIVEN_UP} and not ${IS_ASLEEP}`;

/** Its content, or what needs a new process of its gateway, has changed. */
export const HAS_CHANGED = sql<boolean>`(${ROW.contentGeneration} > ${ROW.appliedContentGeneration}
  or ${ROW.restartGeneration} > ${ROW.appliedRestartGeneration})`;

/** `nextStep` is something for this row of `instances`. */
export const IS_UNCONVERGED = sql<boolean>`
  ${ROW.deletedAt} is null
  and (${ROW.desiredStatus} = 'destroyed'
       or ${ROW.moveNode} is not null
       or not ${HAS_GIVEN_UP}
          and case when ${ROW.desiredStatus} = 'stopped'
                   then ${ROW.status} <> 'stopped' or ${ROW.bootId} is not null or ${ROW.transitionKind} is not null
                        or ${HAS_OPEN_INTERVAL}
                   when ${IS_ASLEEP} then ${IS_RESTLESS}
                   else ${ROW.status} <> 'running' or ${ROW.bootId} is null or ${HAS_CHANGED} or not ${HAS_OPEN_INTERVAL}
              end)`;
