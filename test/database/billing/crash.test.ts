import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { migrate } from '../../../database/migrate.ts';
import { createOrm } from '../../../database/orm.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import { startPostgres } from '../../../local/postgres/postgres.ts';
import { campaignRounds, createDice, reportCampaign } from '../../support/campaign.ts';
import { HOUR, pings, startRunning } from './bill-rows.ts';
import { removeFolder } from '../../support/remove-folder.ts';

const T0 = Date.parse('2025-03-01T10:20:00Z');
const HOURS = 20;
const INSTANCES = 60;
const SWEEPER = fileURLToPath(new URL('sweeper.ts', import.meta.url));

test('sweeps whose process and whose database are killed in the middle leave every bill right', async () => {
  const dice = createDice('crashes in the middle of sweeps');
  const makeId = createIdMaker(randomBytes);
  const directory = await mkdtemp(join(tmpdir(), 'thermidora-billing-'));
  await chmod(directory, 0o755);
  const dataDir = join(directory, 'postgres');
  let postgres = await startPostgres({ dataDir, durable: true });
  let crashes = 0;
  try {
    await migrate(postgres.url);
    await withOrm(postgres.url, async (orm) => {
      await runTransaction(orm.em, (em) => setPrice(em, 30_000_000n, new Date(T0 - HOUR)));
      for (let count = 0; count < INSTANCES; count += 1)
        await startRunning(orm, makeId, { at: T0 + count, creditNanoUsd: 10n ** 9n });
    });
    for (let round = 1; round <= campaignRounds(); round += 1) {
      const now = T0 + round * HOURS * HOUR;
      await withOrm(postgres.url, (orm) => pings(orm, now));
      const sweeper = spawn(process.execPath, [SWEEPER, postgres.url, String(now)], { stdio: ['ignore', 'pipe', 'ignore'] });
      const ended = once(sweeper, 'close');
      await once(sweeper.stdout, 'data');
      // Where in its work it is hit is what the campaign is about.
      await sleep(dice.below(150));
      if (dice.below(2) === 0) sweeper.kill('SIGKILL');
      else {
        const [pid] = (await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
        process.kill(Number(pid), 'SIGQUIT');
        await postgres.exited;
        crashes += 1;
        postgres = await startPostgres({ dataDir, port: postgres.port, durable: true });
      }
      sweeper.kill('SIGKILL');
      await ended;
      await withOrm(postgres.url, async (orm) => expect((await verifyBilling(orm.em.fork())).problems).toEqual([]));
    }
    await withOrm(postgres.url, async (orm) => {
      await debitDue(orm.em, { now: new Date(T0 + campaignRounds() * HOURS * HOUR) });
      const { problems, ...totals } = await verifyBilling(orm.em.fork());
      expect(problems).toEqual([]);
      expect(totals.debitedNanoUsd).toBe(BigInt(INSTANCES * campaignRounds() * HOURS) * 30_000_000n - deviation(INSTANCES));
      const rounds = `${campaignRounds()} sweeps killed, ${crashes} of them with the database`;
      const outcome = `${rounds}: ${totals.lines} ledger lines, 0 differences`;
      const counts = { sweeps: campaignRounds(), databases: crashes, lines: totals.lines };
      await reportCampaign({ name: 'billing crashes', seed: dice.seed, counts, outcome, file: import.meta.filename });
    });
  } finally {
    await postgres.stop();
    await removeFolder(await realpath(join(dataDir, 'cluster')));
    await removeFolder(directory);
  }
});

/** The last full hour is 20 minutes ago, and the instances started one millisecond after the other. */
function deviation(instances: number): bigint {
  let short = 0n;
  const hour = 3_600_000n;
  for (let count = 0n; count < BigInt(instances); count += 1n) {
    const ran = BigInt(campaignRounds() * HOURS) * hour - 1_200_000n - count;
    short += BigInt(campaignRounds() * HOURS) * 30_000_000n - (ran * 30_000_000n) / hour;
  }
  return short;
}

async function withOrm(url: string, work: (orm: Awaited<ReturnType<typeof createOrm>>) => Promise<unknown>): Promise<void> {
  const orm = await createOrm(url);
  try {
    await work(orm);
  } finally {
    await orm.close();
  }
}
