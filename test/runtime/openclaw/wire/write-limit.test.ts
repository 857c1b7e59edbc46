import { afterEach, expect, test } from '@jest/globals';
import { connectGateway } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { secretNames, syncSecrets } from '../../../../runtime/openclaw/content/secret-store.ts';
import {
  BulkWriter,
  MAX_FURTHER_CONNECTIONS,
  MAX_WAITS,
  withinWriteLimit,
} from '../../../../runtime/openclaw/wire/write-limit.ts';
import { eventually, PATIENCE_MS } from '../../../support/eventually.ts';
import { borrowGateway } from '../../../support/gateway-under-test.ts';
import { letIn, startScriptedGateway } from '../scripted-gateway.ts';
import type { ScriptedGateway } from '../scripted-gateway.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

const never = new AbortController().signal;

/** As OpenClaw refuses the 31st write of a kind. */
const tooMany = (retryAfterMs: number) => ({
  code: 'UNAVAILABLE',
  message: 'rate limit exceeded for cron.add; retry after 1s',
  retryable: true,
  retryAfterMs,
  details: { method: 'cron.add', limit: '30 per 60s' },
});

/** A gateway that refuses every write with this error. */
async function startRefusing(error: object): Promise<ScriptedGateway> {
  const gateway = await startScriptedGateway([letIn()], () => ({ ok: false, error }));
  open.push(gateway);
  return gateway;
}

async function connect({ wsUrl }: ScriptedGateway): Promise<GatewayClient> {
  const client = await connectGateway({ wsUrl, token: 't', signal: never, timeoutMs: PATIENCE_MS });
  open.push(client);
  return client;
}

const writesTo = (gateway: ScriptedGateway) => gateway.requests.filter(({ method }) => method === 'cron.add').length;

function expectInOrder(opened: number[]): void {
  expect(opened.length).toBeGreaterThan(0);
  expect(opened).toEqual([1, 2, 3].slice(0, opened.length));
}

test('a hundred secrets are stored at once, and deleted at once, over three connections more than one at most', async () => {
  const gateway = await borrowGateway();
  open.push(gateway);
  const client = await gateway.connect();
  const sync = async (secrets: ReadonlyMap<string, string>) => {
    const opened: number[] = [];
    const connectFurther = (number: number) => {
      opened.push(number);
      return gateway.connect();
    };
    const writer = new BulkWriter(client, { connectFurther, signal: never });
    await syncSecrets(writer, secrets);
    writer.close();
    return opened;
  };
  const hundred = new Map(Array.from({ length: 100 }, (_none, index) => [`SECRET_${index}`, `value ${index}`]));

  // A slow machine gets into the next minute, and needs fewer.
  expectInOrder(await sync(hundred));

  expect(new Set(await secretNames(client))).toEqual(new Set(hundred.keys()));
  expectInOrder(await sync(new Map()));
  expect(await secretNames(client)).toEqual([]);
});

test('a write that every connection refuses is tried again after the wait that the gateway asks for, so often at most', async () => {
  const gateway = await startRefusing(tooMany(1));
  const writer = new BulkWriter(await connect(gateway), { connectFurther: () => connect(gateway), signal: never });

  await expect(writer.request('cron.add', {})).rejects.toMatchObject({ limit: '30 per 60s', retryAfterMs: 1 });

  expect(writesTo(gateway)).toBe((1 + MAX_FURTHER_CONNECTIONS) * (1 + MAX_WAITS));
  expect(gateway.requests.filter(({ method }) => method === 'connect')).toHaveLength(1 + MAX_FURTHER_CONNECTIONS);
});

test('a write that is refused for another reason is not tried again', async () => {
  const gateway = await startRefusing({ code: 'UNAVAILABLE', message: 'draining', retryable: true, retryAfterMs: 1 });
  const writer = new BulkWriter(await connect(gateway), { connectFurther: () => connect(gateway), signal: never });

  await expect(writer.request('cron.add', {})).rejects.toMatchObject({ message: 'draining' });

  expect(writesTo(gateway)).toBe(1);
});

test('a wait for the next minute ends with the reason of the caller', async () => {
  const gateway = await startRefusing(tooMany(60_000));
  const client = await connect(gateway);
  const caller = new AbortController();
  const reason = new Error('stopped');
  const write = withinWriteLimit(() => client.request('cron.add', {}), caller.signal);
  const outcome = expect(write).rejects.toBe(reason);

  await eventually(() => expect(writesTo(gateway)).toBe(1));
  caller.abort(reason);

  await outcome;
  expect(writesTo(gateway)).toBe(1);
});
