import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createOrm } from '../database/orm.ts';
import { verifyBilling } from '../database/queries/billing/verify-billing.ts';
import { formatUsd } from '../domain/money.ts';

/** More of them would only hide the first. */
const MOST_SHOWN = 50;

/** DATABASE_URL, or the PostgreSQL that `npm start` runs for this DATA_DIR. */
async function databaseUrl(): Promise<string> {
  const { DATABASE_URL, DATA_DIR = '.thermidora' } = process.env;
  if (DATABASE_URL) return DATABASE_URL;
  const read = (name: string): Promise<string> => readFile(join(DATA_DIR, 'postgres', name), 'utf8');
  try {
    const [password, port] = [await read('password'), await read('port')];
    return `postgres://thermidora:${password}@127.0.0.1:${port}/thermidora`;
  } catch (error) {
    throw new Error('Set DATABASE_URL, or run npm start first: its database is used.', { cause: error });
  }
}

// Recomputes every bill from its intervals and the prices. Ends with 0 when all agree, with 1 when not.
const orm = await createOrm(await databaseUrl());
try {
  const { accounts, intervals, lines, problems, ...sums } = await verifyBilling(orm.em.fork());
  for (const problem of problems.slice(0, MOST_SHOWN)) process.stderr.write(`${problem}\n`);
  const counted = `${accounts} accounts, ${intervals} intervals, ${lines} ledger lines`;
  const money = `credited ${formatUsd(sums.creditedNanoUsd)}, debited ${formatUsd(sums.debitedNanoUsd)}, written off ${formatUsd(sums.writtenOffNanoUsd)}, balances ${formatUsd(sums.balanceNanoUsd)} USD`;
  process.stdout.write(
    problems.length === 0
      ? `All agree: ${counted}; ${money}.\n`
      : `${problems.length} differences in ${counted} (shown above); ${money}.\n`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await orm.close();
}
