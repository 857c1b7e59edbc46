import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { asNumber, epochMs, fromNow, secondsSince } from '../sql.ts';
import { LEASE_BEGAN } from './process-lease.ts';

/** What says how an installation is. Ages are in seconds. */
export interface Vitals {
  apis: number;
  workers: number;
  running: number;
  starting: number;
  turns: number;
  oldestTurnSeconds: number;
  modelCallsPerMinute: number;
  lastModelCallAt: Date | null;
}

/** More calls in a minute than these are not counted. */
const MOST_CALLS = 10_000;

/** How many processes are alive, what they have to do, and whether models are called. */
export async function readVitals(em: EntityManager): Promise<Vitals> {
  const { oldestTurnSeconds, lastModelCallMs, ...vitals } = await db(em)
    .selectFrom([
      (eb) =>
        eb
          .selectFrom('Process')
          .select(({ fn }) => [
            asNumber(fn.countAll().filterWhere('kind', '=', 'api')).as('apis'),
            asNumber(fn.countAll().filterWhere('kind', '=', 'worker')).as('workers'),
          ])
          .where('seenAt', '>', LEASE_BEGAN)
          .as('process'),
      (eb) =>
        eb
          .selectFrom('Instance')
          .select(({ fn }) => [
            asNumber(fn.countAll().filterWhere('status', '=', 'running')).as('running'),
            asNumber(fn.countAll().filterWhere('status', '=', 'provisioning')).as('starting'),
          ])
          .where('deletedAt', 'is', null)
          .as('instance'),
      (eb) =>
        eb
          .selectFrom('Message')
          .select(({ fn }) => [
            asNumber(fn.countAll()).as('turns'),
            secondsSince(fn.min<Date | null>('createdAt')).as('oldestTurnSeconds'),
          ])
          .where('status', '=', 'pending')
          .as('turn'),
      (eb) =>
        eb
          .selectFrom(eb.selectFrom('ModelCall').select('at').orderBy('id', 'desc').limit(MOST_CALLS).as('newest'))
          .select(({ fn }) => [
            asNumber(fn.countAll().filterWhere('newest.at', '>', fromNow(-60_000))).as('modelCallsPerMinute'),
            epochMs(fn.max<Date | null>('newest.at')).as('lastModelCallMs'),
          ])
          .as('call'),
    ])
    .select(['process.apis', 'process.workers', 'instance.running', 'instance.starting', 'turn.turns', 'turn.oldestTurnSeconds'])
    .select(['call.modelCallsPerMinute', 'call.lastModelCallMs'])
    .executeTakeFirstOrThrow();
  return {
    ...vitals,
    oldestTurnSeconds: oldestTurnSeconds ?? 0,
    lastModelCallAt: lastModelCallMs === null ? null : new Date(lastModelCallMs),
  };
}
