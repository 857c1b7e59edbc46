import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { MAX_CONTENT_BYTES } from '../../domain/turn.ts';
import { INFLOW } from '../../runtime/openclaw/wire/inflow-budget.ts';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import { residentMiB } from '../support/resident-memory.ts';
import type { Deed } from '../support/scripted-gateway/faults.ts';
import { startProduct } from './product-under-test.ts';
import type { InstanceUnderTest, ProductUnderTest } from './product-under-test.ts';

// Its agents own a gateway: whatever it sends, this process, which is API and worker in one, goes on, and others are served.

jest.setTimeout(2 * TEST_LIMIT_MS);

const MIB = 1024 ** 2;
/** Of both ends that listen to the gateway; most of it is what Node keeps for the next time. Without a bound it is gigabytes. */
const MAX_GROWTH_MIB = 400;

let product: ProductUnderTest;
/** Of another account. */
let neighbour: InstanceUnderTest;
let instance: InstanceUnderTest;

beforeAll(async () => {
  // So few that a busy machine reads more: what is read more slowly than this is no flood.
  product = await startProduct({ inflow: { ...INFLOW, framesPerSecond: 100, behindMs: 2_000 } });
  neighbour = await product.newInstance();
});
afterAll(() => product.close());
beforeEach(async () => {
  instance = await product.newInstance();
  await neighbour.end(await neighbour.say('Are you there?'));
});
afterEach(async () => {
  await product.reconciler.power(instance.instanceId, 'destroy');
});

/** Does this, and answers by how much this process has grown at most meanwhile, in MiB. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = await residentMiB(process.pid);
  let most = before;
  const looks = setInterval(() => void residentMiB(process.pid).then((now) => (most = Math.max(most, now))), 50);
  try {
    await work();
  } finally {
    clearInterval(looks);
  }
  return most - before;
}

async function expectNeighbourServed(): Promise<void> {
  expect(await neighbour.end(await neighbour.say('Hello'))).toMatchObject({ status: 'completed', content: 'You said: Hello' });
}

async function expectFlood(): Promise<void> {
  await eventually(async () => expect(await instance.view()).toMatchObject({ reasonCode: 'gateway_flood' }), 2 * PATIENCE_MS);
}

async function expectServed(): Promise<void> {
  const turn = await instance.end(await instance.say('Hello'));
  expect(turn).toMatchObject({ status: 'completed', content: 'You said: Hello' });
}

describe('a gateway that sends too much says gateway_flood, is replaced, and answers', () => {
  test.each<[string, Deed]>([
    ['a frame of 60 MiB of empty lists', { kind: 'bomb', of: 'lists', bytes: 60 * MIB }],
    ['a frame of 3 MiB of empty lists', { kind: 'bomb', of: 'lists', bytes: 3 * MIB }],
    ['10,000 events a second', { kind: 'pour', perSecond: 10_000 }],
  ])('%s', async (_, deed) => {
    const growth = await growthDuring(async () => {
      instance.control.misbehave(deed);
      await expectFlood();
      await expectNeighbourServed();
      await eventually(() => expect(instance.starts()).toBe(2));
      await eventually(async () => expect(await instance.view()).toMatchObject({ status: 'running', reasonCode: null }));
      await expectServed();
    });
    expect(growth).toBeLessThan(MAX_GROWTH_MIB);
  });

  test('until it has been replaced so often that it is not started any more', async () => {
    const growth = await growthDuring(async () => {
      instance.control.misbehave({ kind: 'bomb', of: 'lists', bytes: 20 * MIB }, { survivesRestart: true });
      await eventually(async () => {
        // Its floods count as having lasted, and starts after a failure have growing pauses.
        await instance.sql(
          `update gateway_refusals set first_at = first_at - interval '1 minute', times = times + 3
            where instance_id = ? and first_at > now() - interval '1 minute' returning sign`,
        );
        await instance.sql(
          'update instances set start_not_before = now() where id = ? and start_not_before > now() returning id',
        );
        await product.reconciler.wake(instance.instanceId);
        expect(await instance.view()).toMatchObject({ status: 'error', reasonCode: 'gateway_flood' });
      });
      await expectNeighbourServed();
    });
    expect(growth).toBeLessThan(MAX_GROWTH_MIB);
  });
});

describe('a list that has no last page is read within a bound', () => {
  test.each(
    (['cron.list', 'cron.runs', 'sessions.list'] as const).flatMap((method) => [
      [method, 'endless'] as const,
      [method, 'stuck'] as const,
    ]),
  )('%s, %s', async (method, how) => {
    const growth = await growthDuring(async () => {
      instance.control.misbehave({ kind: 'pages', method, how });
      instance.control.misbehave({ kind: 'hang-up' }, { times: 1 });
      await expectFlood();
      await expectNeighbourServed();
    });
    expect(growth).toBeLessThan(MAX_GROWTH_MIB);
  });
});

describe('a reply', () => {
  test('of 3 MiB is kept to its first MiB, and marked', async () => {
    instance.control.misbehave({ kind: 'say', text: 'a reply ', times: (3 * MIB) / 8 }, { times: 1 });
    const turn = await instance.end(await instance.say('Hello'));
    expect([turn.status, turn.content.length]).toEqual(['completed', MAX_CONTENT_BYTES]);
    expect(
      await instance.sql(
        `select m.content_truncated as message, e.content_truncated as event
           from messages m join events e on e.message_id = m.id where m.instance_id = ?`,
      ),
    ).toEqual([{ message: true, event: true }]);
    await expectServed();
  });

  test('of 50 MiB is not read, and harms nobody else', async () => {
    const growth = await growthDuring(async () => {
      instance.control.misbehave({ kind: 'say', text: 'a reply ', times: (50 * MIB) / 8 }, { times: 1 });
      await instance.say('Hello');
      await expectFlood();
      await expectNeighbourServed();
    });
    expect(growth).toBeLessThan(MAX_GROWTH_MIB);
  });

  test('with NUL and halves of characters is stored without them', async () => {
    instance.control.misbehave({ kind: 'say', text: 'before\0 \ud83d after', times: 1 }, { times: 1 });
    const turn = await instance.end(await instance.say('Hello'));
    expect(turn).toMatchObject({ status: 'completed', content: 'before\ufffd \ufffd after' });
  });
});

describe('an answer to a probe', () => {
  test('that sends elsewhere is not followed, and the instance is served', async () => {
    const reached: string[] = [];
    const inner = createServer((request, response) => {
      reached.push(String(request.url));
      response.end();
    }).listen(0, '127.0.0.1');
    await once(inner, 'listening');
    const to = `http://127.0.0.1:${(inner.address() as AddressInfo).port}/internal`;
    instance.control.misbehave({ kind: 'redirect', to });
    await eventually(async () =>
      expect(await instance.sql('select sign from gateway_refusals where instance_id = ?')).toEqual([{ sign: 'not_ready' }]),
    );
    await expectServed();
    expect(reached).toEqual([]);
    inner.close();
  });

  test('that has no end is cut, and the instance is served', async () => {
    const growth = await growthDuring(async () => {
      instance.control.misbehave({ kind: 'endless-body' });
      await expectServed();
      await expectNeighbourServed();
    });
    expect(growth).toBeLessThan(MAX_GROWTH_MIB);
  });
});
