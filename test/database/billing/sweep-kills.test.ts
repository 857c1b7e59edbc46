import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import { campaignRounds, createDice } from '../../support/campaign.ts';
import { eventually } from '../../support/eventually.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { HOUR, openPriced, pings, startRunning } from './bill-rows.ts';

const T0 = Date.parse('2025-03-01T10:20:00Z');
const makeId = createIdMaker(randomBytes);

let database: TestOrm;
let orm: MikroORM;

beforeEach(async () => {
  database = await openPriced(T0);
  ({ orm } = database);
});

afterEach(() => database.close());

/** Asked again while the pool has connections that were ended. */
const problems = (): Promise<string[]> => eventually(async () => (await verifyBilling(orm.em.fork())).problems);

test('a sweep that is killed at any moment, with its process or its connection, leaves every bill right', async () => {
  const dice = createDice('killed sweeps');
  for (let count = 0; count < 40; count += 1) await startRunning(orm, makeId, { at: T0 + count, creditNanoUsd: 10n ** 12n });
  const sweeper = fileURLToPath(new URL('sweeper.ts', import.meta.url));
  for (let round = 1; round <= campaignRounds(); round += 1) {
    await pings(orm, T0 + round * 20 * HOUR);
    const child = spawn(process.execPath, [sweeper, database.url, String(T0 + round * 20 * HOUR)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    // Where in its work it is hit is what the campaign is about.
    await sleep(dice.below(60));
    if (dice.below(2) === 0) child.kill('SIGKILL');
    else
      await orm.em
        .fork()
        .execute(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
        )
        .catch(() => undefined);
    await ended;
    expect(await problems()).toEqual([]);
  }
  await debitDue(orm.em, { now: new Date(T0 + campaignRounds() * 20 * HOUR) });
  expect(await problems()).toEqual([]);
  const { lines } = await verifyBilling(orm.em.fork());
  expect(lines).toBe(40 + 40 * campaignRounds() * 20);
});
