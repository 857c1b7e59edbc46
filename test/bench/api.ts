import autocannon from 'autocannon';
import { REST_DOOR } from '../../api/http/door.ts';
import { createAuthentication } from '../../api/security/authenticate.ts';
import { createRateLimiter } from '../../api/security/rate-limit.ts';
import { createTokens } from '../../api/security/tokens.ts';
import { createOrm } from '../../database/orm.ts';
import { claimRequests } from '../../database/accounts/rate-windows.ts';
import { createBackground } from '../../lib/async/background.ts';
import { createLog } from '../../lib/log.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { startSecondApi } from './second-api.ts';
import { timed } from './bench.ts';
import { CONNECTIONS, rate, SECONDS, WRITE_CONNECTIONS } from './rate.ts';
import type { Bench } from './bench.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

const CALLS = 2_000;

/**
 * Reads, writes and repeated writes per second on one API process, and what its guards cost each request. The worker is
 * away meanwhile, so that no gateway starts.
 */
export const benchApi: Bench = async ({ stack }) => {
  await stack.end('worker', 'SIGTERM');
  const account = await stack.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
  const body = JSON.stringify({ name: 'bench' });
  const headers = { 'x-api-key': String(apiKey), 'content-type': 'application/json' };
  const write = { url: `${stack.url}/v1/auth/keys`, method: 'POST', body, headers, connections: WRITE_CONNECTIONS } as const;
  const rows = [
    ...(await rate('GET /instances/:id', 1_000, { headers, url: `${stack.url}/v1/instances/${instanceId}` })),
    ...(await rate('POST /auth/keys', 300, write)),
    ...(await rate('POST /auth/keys, replayed', 300, { ...write, headers: { ...headers, 'idempotency-key': 'bench' } })),
    ...(await guards(stack, String(apiKey))),
    ...(await withTwo(stack, { headers, instanceId, write })),
  ];
  await account.ok('DELETE', `/instances/${instanceId}`);
  await stack.start('worker');
  return rows;
};

interface Calls {
  headers: Record<string, string>;
  instanceId: string;
  write: autocannon.Options;
}

/** The same on two processes at once. They share the cores of this machine with the database and the caller. */
async function withTwo(stack: StackUnderTest, { headers, instanceId, write }: Calls): Promise<Row[]> {
  const second = await startSecondApi(stack);
  const bases = [stack.url, second.url];
  const rates = async (optionsAt: (base: string) => autocannon.Options): Promise<number[]> => {
    for (const base of bases) await autocannon({ ...optionsAt(base), connections: 1, amount: 20 });
    const half = { connections: CONNECTIONS / 2, duration: SECONDS };
    const results = await Promise.all(bases.map((base) => autocannon({ ...optionsAt(base), ...half })));
    return [results.reduce((sum, { requests }) => sum + requests.average, 0)];
  };
  const reads = await rates((base) => ({ headers, url: `${base}/v1/instances/${instanceId}` }));
  const writes = await rates((base) => ({ ...write, url: `${base}/v1/auth/keys` }));
  await second.end();
  const row = (what: string, values: number[]): Row => ({ what, values, unit: 'requests/s', goal: 'known', reached: null });
  return [row('GET /instances/:id, two processes together', reads), row('POST /auth/keys, two processes together', writes)];
}

/** One after the other in this process, so each is what a request waits for. */
async function guards(stack: StackUnderTest, apiKey: string): Promise<Row[]> {
  const orm = await createOrm(stack.databaseUrl);
  const clock = () => new Date();
  const log = createLog('bench', 'silent');
  const tokens = createTokens({ masterKeys: [stack.masterKey], clock, makeId: () => 'tok_bench' });
  // Authentication works with these of the dependencies only.
  const deps = {
    orm,
    clock,
    log,
    tokens,
    config: { AUTH_RATE_LIMIT_PER_MINUTE: 10 },
    background: createBackground(),
  } as unknown as Parameters<typeof createAuthentication>[0];
  const { readClaim } = createAuthentication(deps);
  const claim = (subject: string, count: number, now: Date) =>
    claimRequests(orm.em.fork(), { subject, count, now, windowMs: 60_000 });
  const limiter = createRateLimiter({ limit: 10_000, claim, clock, log });
  const authentication = await repeatedly(() => readClaim(REST_DOOR, 'account', { 'x-api-key': apiKey }).confirm('127.0.0.1'));
  const counting = await repeatedly(() => limiter.take('account:bench'));
  await deps.background.idle();
  await orm.close();
  const limitMs = counting.reduce((sum, value) => sum + value, 0) / counting.length;
  return [
    {
      what: 'authentication by key, each request',
      values: authentication,
      unit: 'ms',
      goal: 'p50 < 2',
      reached: median(authentication) < 2,
    },
    {
      what: 'rate limit, each request',
      values: counting,
      unit: 'ms',
      goal: `mean < 0.1 (${limitMs.toFixed(3)})`,
      reached: limitMs < 0.1,
    },
  ];
}

async function repeatedly(work: () => Promise<unknown>): Promise<number[]> {
  const values: number[] = [];
  for (let count = 0; count < CALLS; count += 1) values.push(await timed(work));
  return values;
}
