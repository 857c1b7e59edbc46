import { randomBytes } from 'node:crypto';
import { createOrm } from '../database/orm.ts';
import { readDatabaseClock } from '../database/billing/account-money.ts';
import { reverseLine } from '../database/billing/reverse-line.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { AppError } from '../domain/errors.ts';
import { createIdMaker } from '../domain/ids.ts';
import { formatUsd } from '../domain/money/money.ts';
import { databaseUrl } from './local-database.ts';

// Takes back one credit or debit: npm run billing:reverse -- <entryId> "<reason, which the customer sees>". A second time
// changes nothing.
const [lineId, reason] = process.argv.slice(2);
if (!lineId || !reason) throw new Error('Give the ledger line and the reason: npm run billing:reverse -- <entryId> "<reason>"');

const orm = await createOrm(await databaseUrl());
try {
  const now = await readDatabaseClock(orm.em.fork());
  const correction = { lineId, reason, now, makeId: createIdMaker(randomBytes) };
  const { reversalId, accountId, nanoUsd, isNew } = await runTransaction(orm.em, (em) => reverseLine(em, correction));
  const sum = `${formatUsd(nanoUsd)} USD for ${accountId}`;
  process.stdout.write(
    isNew ? `Reversed by ${reversalId}: ${sum}.\n` : `The line was already reversed by ${reversalId}: ${sum}.\n`,
  );
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await orm.close();
}
