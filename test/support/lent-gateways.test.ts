import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { addCron } from '../../runtime/openclaw/content/crons.ts';
import { listCrons } from './cron-lists.ts';
import { eventually } from './eventually.ts';
import type { GatewayUnderTest } from './gateway-program.ts';
import { borrowFrom, endGateways } from './lent-gateways.ts';
import { SCRIPTED_GATEWAY } from './scripted-gateway/scripted-control.ts';
import { removeFolder } from './remove-folder.ts';

let runDir: string;

beforeEach(async () => {
  runDir = await mkdtemp(join(tmpdir(), 'lent-gateways-'));
});
afterEach(async () => {
  await endGateways(runDir);
  await removeFolder(runDir);
});

const borrow = (agent: string) => borrowFrom(runDir, SCRIPTED_GATEWAY, [agent]);

async function withJob(agent: string): Promise<GatewayUnderTest> {
  const gateway = await borrow(agent);
  const schedule = { kind: 'every', everyMs: 3_600_000 } as const;
  const job = { cronId: `cron_${agent}`, agentId: agent, name: 'Digest', schedule, message: 'Hello', enabled: true };
  await addCron(await gateway.connect(), job);
  return gateway;
}

test("a gateway that a file has left is the next one's, with its agents and without the jobs of the one before", async () => {
  const first = await withJob('one');
  const pid = await first.pid();
  await first.close();

  const next = await borrow('other');

  expect(await next.pid()).toBe(pid);
  const client = await next.connect();
  expect(await client.request('agents.list', {})).toMatchObject({ agents: [{ id: 'other' }] });
  expect(await listCrons(client)).toEqual([]);
  await next.kill();
  await next.start();
  expect(await next.pid()).not.toBe(pid);
  await next.close();
});

test('two files at once have a gateway each', async () => {
  const [one, other] = await Promise.all([borrow('one'), borrow('other')]);
  expect(await one.pid()).not.toBe(await other.pid());
  await Promise.all([one.close(), other.close()]);
  const again = await Promise.all([borrow('one'), borrow('other')]);
  expect(await again[0].pid()).not.toBe(await again[1].pid());
  await Promise.all(again.map((gateway) => gateway.close()));
});

test('a gateway that has ended is lent to nobody, and none outlives its run', async () => {
  const killed = await borrow('one');
  const before = await killed.pid();
  await killed.kill();
  await killed.close();
  const next = await borrow('other');
  const pid = await next.pid();
  expect(pid).not.toBe(before);
  await next.close();

  await endGateways(runDir);

  await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
});
