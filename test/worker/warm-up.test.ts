import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createIdMaker } from '../../domain/ids.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { send, turnOf } from '../runtime/openclaw/turns-under-test.ts';
import { PATIENCE_MS } from '../support/eventually.ts';
import { AGENT, startGateway } from '../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { asGateway } from '../support/raw-gateway.ts';
import { warmUp } from '../../worker/pool/warm-up.ts';

/** The gateway may start a thread for something else just then. */
const TRIES = 5;

let gateway: GatewayUnderTest;
let client: GatewayClient;

beforeAll(async () => {
  // A pool's gateway has had no other conversation, which one that other tests have left has.
  gateway = await startGateway([AGENT]);
  client = await gateway.connect();
});
afterAll(() => gateway?.close());

/** The threads of this process in which its JavaScript runs beside the main one. */
async function workerThreads(pid: number): Promise<string[]> {
  const tasks = `/proc/${pid}/task`;
  const ids = await readdir(tasks);
  const names = await Promise.all(ids.map((id) => readFile(`${tasks}/${id}/comm`, 'utf8').catch(() => '')));
  return ids.filter((_, index) => names[index]?.trim() === 'WorkerThread');
}

test('the first turn after a warm-up starts no thread of the gateway', async () => {
  const spare = { id: 'agt_warm', gatewayAgentId: AGENT, model: 'fake-model' };
  const warm = {
    gateway: asGateway(client),
    spare,
    makeId: createIdMaker(randomBytes),
    signal: AbortSignal.timeout(PATIENCE_MS),
  };
  const started: number[] = [];
  while (started.length < TRIES && !started.includes(0)) {
    await warmUp({ ...warm, now: new Date() });
    const before = await workerThreads(await gateway.pid());
    const name = `first_${started.length}`;
    await (
      await send(client, turnOf(`conv_${name}`, `msg_${name}`, '[[SAY ready]]'))
    ).result;
    started.push((await workerThreads(await gateway.pid())).filter((id) => !before.includes(id)).length);
  }
  expect(started).toContain(0);
});
