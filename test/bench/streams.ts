import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { createOrm } from '../../database/orm.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { killPid } from '../../runtime/host/process-identity.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { residentMiB } from '../support/resident-memory.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { eventually } from '../support/eventually.ts';
import { percentile } from './table.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';

const STREAMS = Number(process.env['BENCH_STREAMS'] ?? 2_000);
const ACCEPTED_MS = 120_000;
const READS = 1_000;
const MAY_TAKE_KIB = 100;
const SETTLE_MS = 5_000;

/**
 * Streams of turns that wait, each in a conversation of its own, on one API process: what each takes, and what reads take
 * meanwhile. The gateway is gone and nobody starts it again, so no turn ends.
 */
export const benchStreams: Bench = async ({ stack }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'bench' });
  const agent = { name: 'a', slug: 'agent', displayName: 'A' };
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  await stack.kill('worker');
  await endGateways(stack);

  const before = await residentMiB(stack.pidOf('api'));
  const dispatcher = new Agent({ connections: STREAMS, bodyTimeout: 0, headersTimeout: 0 });
  const gone = new AbortController();
  const open = async (index: number): Promise<number> => {
    const { statusCode, body } = await request(`${stack.url}/v1/instances/${instanceId}/agents/${agentId}/messages`, {
      method: 'POST',
      headers: { 'x-api-key': String(apiKey), 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'wait', sessionId: `s-${index}`, stream: true }),
      dispatcher,
      signal: gone.signal,
    });
    body.on('error', () => undefined).resume();
    return statusCode;
  };
  const orm = await createOrm(stack.databaseUrl);
  let statuses: Promise<number[]> = Promise.resolve([]);
  const acceptedMs = await timed(async () => {
    statuses = Promise.all(Array.from({ length: STREAMS }, (_, index) => open(index)));
    await eventually(async () => {
      const rows = await orm.em
        .fork()
        .execute(`select id from messages where instance_id = ? and status = 'pending' offset ?`, [instanceId, STREAMS - 1]);
      if (rows.length === 0) throw new Error('not all of them are accepted');
    }, ACCEPTED_MS);
  });
  await orm.close();
  // The status comes with the first bytes, which are a ping here.
  const refused = (await statuses).filter((status) => status !== 200);
  if (refused.length > 0) throw new Error(`${refused.length} streams were refused, the first with ${refused[0]}`);
  await sleep(SETTLE_MS);
  const each = (((await residentMiB(stack.pidOf('api'))) - before) * 1024) / STREAMS;
  const reads: number[] = [];
  for (let read = 0; read < READS; read += 1) reads.push(await timed(() => account.ok('GET', `/instances/${instanceId}`)));
  gone.abort();
  await dispatcher.destroy();
  await account.ok('DELETE', `/instances/${instanceId}`);
  await stack.start('worker');
  return [
    { what: `${STREAMS} streams at once: all accepted`, values: [acceptedMs], unit: 'ms', goal: 'known', reached: null },
    {
      what: `memory of one of ${STREAMS} open streams`,
      values: [each / 1024],
      unit: 'MB',
      goal: `<= ${MAY_TAKE_KIB} KiB (${each.toFixed(0)} KiB)`,
      reached: each <= MAY_TAKE_KIB,
    },
    { what: 'GET /instances/:id meanwhile', values: reads, unit: 'ms', goal: 'p99 < 50', reached: percentile(reads, 0.99) < 50 },
  ];
};

async function endGateways(stack: StackUnderTest): Promise<void> {
  for (const { runtimeId } of await stack.driver.list()) {
    const record = await readRecord(layoutOf(stack.dataDir, runtimeId));
    if (record) killPid(record.pid, 'SIGKILL');
  }
}
