import { createOrm } from '../database/orm.ts';
import { verifyBilling } from '../database/billing/verify-billing.ts';
import { formatUsd } from '../domain/money/money.ts';
import { databaseUrl } from './local-database.ts';

/** More of them would only hide the first. */
const MOST_SHOWN = 50;

// Recomputes every bill from its intervals, its model calls and the prices. Ends with 0 when all agree, with 1 when not.
const orm = await createOrm(await databaseUrl(), { statementMs: 0 });
try {
  const { accounts, intervals, calls, lines, problems, ...sums } = await verifyBilling(orm.em.fork());
  for (const problem of problems.slice(0, MOST_SHOWN)) process.stderr.write(`${problem}\n`);
  const counted = `${accounts} accounts, ${intervals} intervals, ${calls} charged calls, ${lines} ledger lines`;
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
