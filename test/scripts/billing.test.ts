import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { grantCredit } from '../../database/billing/grant-credit.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { newAccount } from '../factories.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

const NOW = Date.now();
const makeId = createIdMaker(randomBytes);

let database: TestOrm;
let orm: MikroORM;

beforeAll(async () => {
  database = await openTestOrm();
  ({ orm } = database);
});

afterAll(() => database.close());

const run = (script: string, ...args: string[]): Promise<{ code: unknown; output: string }> =>
  new Promise((resolve) => {
    const path = join(import.meta.dirname, '../../scripts', script);
    const env = { ...process.env, DATABASE_URL: database.url };
    execFile(process.execPath, [path, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    );
  });

test('an operator takes back a line once, and the verification says in one line that all agree, or where not', async () => {
  const [accountId, lineId] = [(await newAccount(orm, { createdAt: new Date(NOW) })).accountId, makeId('txn')];
  const grant = { id: lineId, accountId, amountNanoUsd: 10n ** 9n, reason: 'given twice', now: new Date(NOW), makeId };
  await runTransaction(orm.em, (em) => grantCredit(em, grant));
  const em = orm.em.fork();
  expect(await run('billing-reverse.ts', lineId, 'given twice')).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^Reversed by txn_/),
  });
  expect(await run('billing-reverse.ts', lineId, 'given twice')).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^The line was already reversed by txn_/),
  });
  expect(await run('billing-reverse.ts', 'txn_none', 'why')).toEqual({ code: 1, output: 'There is no ledger line txn_none.\n' });
  const agreed =
    'All agree: 1 accounts, 0 intervals, 0 charged calls, 2 ledger lines; credited 0.00, debited 0.00, written off 0.00, balances 0.00 USD.\n';
  expect(await run('billing-verify.ts')).toEqual({ code: 0, output: agreed });
  await em.execute('update accounts set balance_nano_usd = 1 where id = ?', [accountId]);
  expect(await run('billing-verify.ts')).toMatchObject({
    code: 1,
    output: expect.stringContaining(`${accountId}: the balance is 1, but its lines add up to 0.`),
  });
});
