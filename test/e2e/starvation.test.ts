import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { replaceFile } from '../../runtime/host/replace-file.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { starveMachine } from '../support/starve-machine.ts';

/** One that does not answer, and one that the machine alone slows down. */
const GATEWAYS = 2;
/** How long the machine is starved at least. */
const STARVED_MS = 30_000;
/** Ends it when nothing else does. */
const LONGEST_MS = 240_000;
const LONG_MS = 1_200_000;

interface Running {
  instanceId: string;
  /** Where messages to its agent go. */
  path: string;
}

let stack: StackUnderTest;
let orm: MikroORM;
let account: ApiClient & { accountId: string };
let running: Running[];

beforeAll(async () => {
  stack = await startStack({ env: { MAX_RUNNING: String(GATEWAYS) } });
  orm = await createOrm(stack.databaseUrl);
  account = await stack.newAccount();
  running = await Promise.all(Array.from({ length: GATEWAYS }, (_, index) => newInstance(`starved ${index}`)));
  await eventually(async () => {
    const statuses = (await gateways()).map(({ status }) => status);
    if (statuses.some((status) => status !== 'running')) throw new Error(`not all run: ${statuses.join(', ')}`);
  }, LONG_MS);
}, LONG_MS);

afterAll(async () => {
  await orm?.close();
  await stack?.close();
}, LONG_MS);

async function newInstance(name: string): Promise<Running> {
  const { instanceId } = await account.ok('POST', '/instances', { name });
  const agent = { name: 'a', slug: 'agent', displayName: 'Agent' };
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
  return { instanceId, path: `/instances/${instanceId}/agents/${agentId}/messages` };
}

interface Gateway {
  instanceId: string;
  runtimeId: string;
  status: string;
  bootId: string | null;
  deaths: number;
}

function gateways(): Promise<Gateway[]> {
  return orm.em.fork().execute<Gateway[]>(
    `select id as "instanceId", runtime_id as "runtimeId", status, boot_id as "bootId",
            coalesce(array_length(deaths, 1), 0) as deaths
       from instances order by id`,
  );
}

const answerOf = async ({ path }: Running, word: string): Promise<unknown> =>
  (await account.ok('POST', path, { message: `[[SAY ${word}]]` })).content;

/** Lets the probes of this runtime reach something that never answers, until the returned function is called. */
async function silence(runtimeId: string): Promise<() => Promise<void>> {
  const { portFile } = layoutOf(stack.dataDir, runtimeId);
  const port = await readFile(portFile, 'utf8');
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  // A listening TCP server has an AddressInfo.
  await replaceFile(portFile, `${(silent.address() as AddressInfo).port}\n`, 0o600);
  return async () => {
    await replaceFile(portFile, port, 0o600);
    silent.closeAllConnections();
    silent.close();
  };
}

test(
  'half a minute in which twelve processes want each core kills no gateway: one that does not answer meanwhile is called slow and not charged, and each answers afterwards',
  async () => {
    const [one] = running;
    const before = await gateways();
    const view = () => account.ok('GET', `/instances/${one!.instanceId}`);
    const starvation = starveMachine(LONGEST_MS);
    const letAnswer = await silence(before.find(({ instanceId }) => instanceId === one!.instanceId)!.runtimeId);
    try {
      const isSlow = eventually(async () => {
        const seen = await view();
        expect(seen).toMatchObject({ status: 'running', statusReason: { code: 'gateway_slow' } });
        return seen;
      });
      const [slow] = await Promise.all([isSlow, sleep(STARVED_MS)]);
      // The worker counts probes, and on a starved machine ten of them take longer than the half minute of the reason.
      await eventually(async () => {
        const metrics = await (await fetch(stack.metricsUrlOf('worker'))).text();
        expect(metrics).toContain('thermidora_gateways_slow{process="worker"} 1');
      });
      expect((await view()).billedMs).toBe(slow.billedMs);
    } finally {
      await letAnswer();
      starvation.end();
    }
    await eventually(async () => expect(await view()).toMatchObject({ status: 'running', statusReason: null }));
    expect(await stack.logOf('worker')).toContain('a gateway is slow: it does not respond and gets more time');

    const answers = await Promise.all(running.map((gateway, index) => answerOf(gateway, `well-${index}`)));
    expect(answers).toEqual(running.map((_gateway, index) => `well-${index}`));
    expect(await gateways()).toEqual(before);
    expect(before.every(({ deaths }) => deaths === 0)).toBe(true);
  },
  LONG_MS,
);
