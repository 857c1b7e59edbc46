import { createOrm } from '../../database/orm.ts';
import { unpaidMs } from './stop-time.ts';
import type { Bench } from './bench.ts';

const STOP_MS = 5_000;
/** What a running instance may spend, and for how long that is enough. */
const LIMIT_USD = '0.0001';
const PAID_MS = 12_000;

/** From the moment at which the budget of a running instance is used up until its stop is accepted. */
export const benchBudgets: Bench = async ({ stack: { databaseUrl, newAccount }, rounds }) => {
  const orm = await createOrm(databaseUrl);
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const account = await newAccount();
    await account.ok('POST', '/budgets', { name: 'bench', scope: {}, period: 'total', limitUsd: LIMIT_USD });
    const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
    values.push(await unpaidMs(orm, { instanceId, paidMs: PAID_MS }));
    await account.ok('DELETE', `/instances/${instanceId}`);
  }
  await orm.close();
  const reached = values.every((ms) => ms <= STOP_MS);
  return [{ what: 'stop after a budget is used up', values, unit: 'ms', goal: `<= ${STOP_MS}`, reached }];
};
