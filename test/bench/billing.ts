import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import autocannon from 'autocannon';
import { migrate } from '../../database/migrate.ts';
import { createOrm } from '../../database/orm.ts';
import { debitDue } from '../../database/billing/debit-due.ts';
import { startPostgres } from '../../local/postgres/postgres.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';
import { unpaidMs } from './stop-time.ts';
import type { Row } from './table.ts';

const HOUR_MS = 3_600_000;
/** How many running instances are swept: 100,000, or what is asked for. */
const INTERVALS = (process.env['BENCH_INTERVALS'] ?? '100000').split(',').map(Number);
const MS_PER_INTERVAL = 30_000 / 1_000_000;
const LEDGER_LINES = 1_000_000;
const STOP_MS = 5_000;
/** What 0.0001 USD pay for. */
const PAID_MS = 12_000;
const HOURS_PER_MONTH = 730;

/** One sweep that debits one hour of every running instance, on a durable PostgreSQL of its own; and what that takes on disk. */
async function measureSweeps(say: (sentence: string) => void): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'thermidora-bench-'));
  await chmod(directory, 0o755);
  const postgres = await startPostgres({ dataDir: join(directory, 'postgres'), durable: true });
  const rows: Row[] = [];
  try {
    await migrate(postgres.url);
    const orm = await createOrm(postgres.url);
    for (const intervals of INTERVALS) rows.push(...(await measureSweep(orm, intervals, say)));
    await orm.close();
  } finally {
    await postgres.stop();
    await rm(await realpath(join(directory, 'postgres', 'cluster')), { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  }
  return rows;
}

async function measureSweep(orm: MikroORM, intervals: number, say: (sentence: string) => void): Promise<Row[]> {
  const em = orm.em.fork();
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 10 * HOUR_MS;
  say(`  seeding ${intervals} running instances ...`);
  await seed(em, intervals, hour);
  const bytesBefore = await ledgerBytes(em);
  const values: number[] = [];
  let lines = 0;
  for (let round = 1; round <= 3; round += 1) {
    await em.execute('update watch_shards set alive_until = ?', [new Date(hour + round * HOUR_MS)], 'run');
    values.push(await timed(async () => void (lines += await debitDue(orm.em, { now: new Date(hour + round * HOUR_MS) }))));
    say(`  sweep ${round}: ${Math.round(values.at(-1) ?? 0)} ms`);
  }
  if (lines !== 3 * intervals) throw new Error(`${lines} lines were written instead of ${3 * intervals}`);
  const idle = await timed(() => debitDue(orm.em, { now: new Date(hour + 3 * HOUR_MS) }));
  const goalMs = Math.max(3_000, intervals * MS_PER_INTERVAL);
  const bytesPerLine = ((await ledgerBytes(em)) - bytesBefore) / lines;
  return [
    {
      what: `sweep of ${intervals} running instances`,
      values,
      unit: 'ms',
      goal: `<= ${goalMs}`,
      reached: values.every((ms) => ms <= goalMs),
    },
    { what: `the same with nothing due`, values: [idle], unit: 'ms', goal: 'known', reached: null },
    {
      what: 'ledger per instance-month',
      values: [(bytesPerLine * HOURS_PER_MONTH) / 1024 ** 2],
      unit: 'MB',
      goal: 'known',
      reached: null,
    },
  ];
}

/** Ten instances per account, all running since that hour. What was there before is gone. */
async function seed(em: EntityManager, intervals: number, hour: number): Promise<void> {
  const since = new Date(hour);
  await em.execute('set session_replication_role = replica', [], 'run');
  await em.execute('truncate accounts, instances, runtime_intervals, transfers, prices cascade', [], 'run');
  await em.execute('set session_replication_role = origin', [], 'run');
  await em.execute('insert into prices values (?, 30000000)', [since], 'run');
  await em.execute(
    `insert into accounts (id, email, name, created_at, balance_nano_usd)
     select 'acc_' || md5(n::text), n || '@example.com', 'Bench', ?, 1000000000000 from generate_series(1, ?::int / 10) n`,
    [since, intervals],
    'run',
  );
  await em.execute(
    `insert into instances (id, account_id, name, runtime_id, created_at, desired_status, status, shard, boot_id)
     select 'inst_' || md5(n::text), 'acc_' || md5((n / 10 + 1)::text), 'Bench', 'run_' || n, ?, 'running', 'running', n % 16, 'boot'
       from generate_series(0, ?::int - 1) n`,
    [since, intervals],
    'run',
  );
  await em.execute(
    `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at)
     select 'int_' || md5(id), id, account_id, 'boot', ?::timestamptz from instances`,
    [since],
    'run',
  );
  for (const table of ['accounts', 'instances', 'runtime_intervals', 'transfers'])
    await em.execute(`vacuum analyze ${table}`, [], 'run');
}

async function ledgerBytes(em: EntityManager): Promise<number> {
  const [row] = await em.execute<{ bytes: number }[]>(`select pg_total_relation_size('transfers')::float8 as bytes`);
  return row?.bytes ?? 0;
}

/** GET /auth/me of an account with a million ledger lines against one with a single line. */
async function measureBalance({ databaseUrl, url, newAccount }: StackUnderTest): Promise<Row[]> {
  const [young, old] = [await newAccount(), await newAccount()];
  const orm = await createOrm(databaseUrl);
  const { accountId } = await old.ok('GET', '/auth/me');
  await orm.em.fork().execute(
    `insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, dedupe_key)
     select 'txn_bench' || lpad(n::text, 12, '0'), ?, now() - n * interval '1 second', 'credit', 'credits', 'customer', 1, 'bench:' || n
       from generate_series(1, ?::int) n`,
    [accountId, LEDGER_LINES],
    'run',
  );
  await orm.close();
  const latencies = async (client: typeof old): Promise<number[]> => {
    const { apiKey } = await client.ok('POST', '/auth/keys', { name: 'bench' });
    const { latency } = await autocannon({
      url: `${url}/v1/auth/me`,
      headers: { 'x-api-key': apiKey },
      connections: 4,
      duration: 5,
    });
    return [latency.p50, latency.p99];
  };
  const [baseline, values] = [await latencies(young), await latencies(old)];
  const isAlike = (values[0] ?? 0) <= (baseline[0] ?? 0) * 1.2 + 1;
  return [
    { what: 'GET /auth/me, 1 ledger line', values: baseline, unit: 'ms', goal: 'the baseline', reached: null },
    { what: `GET /auth/me, ${LEDGER_LINES} ledger lines`, values, unit: 'ms', goal: 'not slower', reached: isAlike },
  ];
}

/** From the moment at which the money of a running instance is used up until its stop is accepted. */
async function measureStop({ databaseUrl, newAccount }: StackUnderTest, rounds: number): Promise<Row[]> {
  const orm = await createOrm(databaseUrl);
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const account = await newAccount('0.0001');
    const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
    values.push(await unpaidMs(orm, { instanceId, paidMs: PAID_MS }));
    await account.ok('DELETE', `/instances/${instanceId}`);
  }
  await orm.close();
  return [
    {
      what: 'stop after the money is used up',
      values,
      unit: 'ms',
      goal: `<= ${STOP_MS}`,
      reached: values.every((ms) => ms <= STOP_MS),
    },
  ];
}

/** What billing takes. */
export const benchBilling: Bench = async ({ stack, rounds, say }) => {
  const sweeps = await measureSweeps(say);
  return [...sweeps, ...(await measureBalance(stack)), ...(await measureStop(stack, rounds))];
};
