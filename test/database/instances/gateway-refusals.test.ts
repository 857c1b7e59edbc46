import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { beginBreakdown } from '../../../database/instances/lifecycle/begin-breakdown.ts';
import { forgetRefusals, noteRefusal } from '../../../database/instances/note-refusal.ts';
import type { Refusal } from '../../../database/instances/note-refusal.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { makeId, newAgent, newTurn } from '../../factories.ts';
import { countOutbox, instanceState, intervalsOf, newPaidInstance } from '../../worker/instance-rows.ts';

let database: TestOrm;
let instanceId: string;
let accountId: string;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());
beforeEach(async () => {
  ({ instanceId, accountId } = await newPaidInstance(database.orm, { bootId: 'boot_1', ranForSeconds: 3_600 }));
  // It has answered a ping.
  await sql('update runtime_intervals set lost_at = null where instance_id = ? returning id');
});

async function sql<T>(statement: string, id = instanceId): Promise<T[]> {
  return database.orm.em.fork().execute<T[]>(statement, [id]);
}

const note = (refusal: Partial<Refusal> = {}) =>
  runTransaction(database.orm.em, (em) =>
    noteRefusal(em, { instanceId, bootId: 'boot_1', conversationId: 'conv_a', sign: 'unsettled', ...refusal }),
  );
const begin = (failure: 'gateway_broken' | 'gateway_damaged' = 'gateway_broken', bootId = 'boot_1', now = new Date()) =>
  runTransaction(database.orm.em, (em) => beginBreakdown(em, { instanceId, bootId, failure, now, makeId }));
const forget = () => runTransaction(database.orm.em, (em) => forgetRefusals(em, [instanceId]));

/** The id of a turn that was sent to the gateway. */
async function newSentTurn(): Promise<string> {
  const agent = await newAgent(database.orm, { instance: instanceId, account: accountId });
  const sent = { owner: 'proc_api', bootId: 'boot_1', attempt: 1 };
  return (await newTurn(database.orm, agent, sent)).messageId;
}

interface Known {
  conversation: string;
  sign: string;
  times: number;
}
const known = () =>
  sql<Known>('select conversation_id as conversation, sign, times from gateway_refusals where instance_id = ? order by 1');
const refusingSince = async (): Promise<number | null> => {
  const [row] = await sql<{ at: number | null }>(
    'select (extract(epoch from refusing_since) * 1000)::float8 as at from runtime_intervals where instance_id = ?',
  );
  return row?.at ?? null;
};
const age = (seconds: number) =>
  sql(
    `update gateway_refusals set first_at = first_at - interval '${seconds} seconds', last_at = last_at - interval '${seconds} seconds'
      where instance_id = ? returning sign`,
  );
const answer = (messageId: string) =>
  sql(`update messages set status = 'completed', ended_at = now() + interval '1 second' where id = ? returning id`, messageId);
const conversationOf = async (messageId: string): Promise<string> =>
  (await sql<{ id: string }>('select conversation_id as id from messages where id = ?', messageId))[0]!.id;

describe('a refusal', () => {
  test('stops the meter when it is the first, and is counted once a second however many hear of it', async () => {
    const refusal = { instanceId, bootId: 'boot_1', conversationId: 'conv_a', sign: 'unsettled' } as const;
    // In one transaction there is no time between them.
    await runTransaction(database.orm.em, async (em) => {
      for (let heard = 0; heard < 20; heard += 1) expect(await noteRefusal(em, refusal)).toBe('wait');
    });
    expect(await known()).toEqual([{ conversation: 'conv_a', sign: 'unsettled', times: 1 }]);
    const since = await refusingSince();
    expect(since).not.toBeNull();
    await age(2);
    await note();
    expect(await known()).toMatchObject([{ times: 2 }]);
    expect(await refusingSince()).toBe(since);
  });

  test('by a process that takes no messages is not noted', async () => {
    expect(await note({ bootId: 'boot_0', sign: 'cleanup_failed' })).toBe('wait');
    await sql(`update instances set transition_kind = 'restarting' where id = ? returning id`);
    expect(await note({ sign: 'cleanup_failed' })).toBe('wait');
    await sql(`update instances set transition_kind = null, desired_status = 'stopped' where id = ? returning id`);
    expect(await note({ sign: 'cleanup_failed' })).toBe('wait');
    expect([await known(), await refusingSince()]).toEqual([[], null]);
  });

  test('is judged by all that is known: three times over twenty seconds in the only conversation', async () => {
    await note();
    await age(10);
    expect(await note()).toBe('wait');
    await age(10);
    expect(await note()).toBe('restart');
  });

  test('lasts since before it was noticed, where that is known', async () => {
    await note({ sign: 'not_begun', forMs: 120_000 });
    await age(1);
    await note({ sign: 'not_begun', forMs: 121_000 });
    await age(1);
    expect(await note({ sign: 'not_begun', forMs: 122_000 })).toBe('restart');
  });

  test('of a second conversation shows that it is the process', async () => {
    const other = await newSentTurn();
    await note();
    await age(20);
    await note();
    await age(2);
    expect(await note()).toBe('wait');
    expect(await note({ conversationId: await conversationOf(other) })).toBe('restart');
  });

  test('of one conversation ends its turn when others were answered meanwhile', async () => {
    const other = await newSentTurn();
    await note();
    for (let times = 2; times <= 5; times += 1) {
      await age(5);
      expect(await note()).toBe('wait');
    }
    await answer(other);
    await age(5);
    expect(await note()).toBe('end_turn');
  });

  test('about the process as a whole is kept for itself', async () => {
    await note({ conversationId: null, sign: 'not_ready' });
    await note({ conversationId: null, sign: 'tools_closed' });
    expect(await known()).toMatchObject([{ conversation: 'not_ready' }, { conversation: 'tools_closed' }]);
  });
});

describe('what came to nothing is forgotten, and the meter runs as if it had not stopped', () => {
  test('when its conversation was answered', async () => {
    const turn = await newSentTurn();
    await note({ conversationId: await conversationOf(turn) });
    await forget();
    expect(await known()).toHaveLength(1);
    await answer(turn);
    await forget();
    expect([await known(), await refusingSince()]).toEqual([[], null]);
  });

  test.each([
    ['unsettled', 'conv_a', 90, 31],
    ['tools_closed', null, 90, 31],
    ['not_ready', null, 3, 8],
  ] as const)('%s: after it was not seen again for long enough', async (sign, conversationId, seconds, more) => {
    await note({ sign, conversationId });
    await age(seconds);
    await forget();
    expect(await known()).toHaveLength(1);
    await age(more);
    await forget();
    expect([await known(), await refusingSince()]).toEqual([[], null]);
  });

  test('but not while another conversation is refused', async () => {
    await note();
    await age(121);
    await note({ conversationId: 'conv_b' });
    await forget();
    expect(await known()).toMatchObject([{ conversation: 'conv_b' }]);
    expect(await refusingSince()).not.toBeNull();
  });

  test('when its process was replaced, whose meter has ended', async () => {
    await note();
    await sql(`update instances set boot_id = 'boot_2' where id = ? returning id`);
    await forget();
    expect(await known()).toEqual([]);
    expect(await refusingSince()).not.toBeNull();
  });

  test('later, while another transaction holds the instance', async () => {
    await note();
    await age(121);
    await runTransaction(database.orm.em, async (em) => {
      await em.execute('select id from instances where id = ? for update', [instanceId]);
      await forget();
    });
    expect(await known()).toHaveLength(1);
  });
});

describe('a breakdown', () => {
  test('ends the meter at the first refusal and hands the turns over, once, however many report it', async () => {
    const turn = await newSentTurn();
    await note({ sign: 'cleanup_failed' });
    const since = await refusingSince();
    const begun = await Promise.all([begin(), begin(), begin('gateway_damaged'), note(), note()]);
    expect(begun.filter((one) => one === true)).toHaveLength(1);
    expect(await instanceState(database.orm, instanceId)).toMatchObject({
      ...{ bootId: null, status: 'provisioning', transitionKind: 'recovering', killFirst: true, deaths: 0 },
    });
    expect(await intervalsOf(database.orm, instanceId)).toMatchObject([{ endedAt: since }]);
    expect(await countOutbox(database.orm, instanceId)).toBe(1);
    expect(await known()).toEqual([]);
    expect(await sql('select boot_id, owner, attempt, deaths from messages where id = ?', turn)).toEqual([
      { boot_id: null, owner: 'shard', attempt: 1, deaths: 0 },
    ]);
    expect(await sql(`select action from audit_entries where instance_id = ?`)).toEqual([
      { action: 'instances.replace-gateway' },
    ]);
  });

  test('of another process than the one that takes messages changes nothing', async () => {
    expect(await begin('gateway_broken', 'boot_0')).toBe(false);
    expect(await instanceState(database.orm, instanceId)).toMatchObject({ bootId: 'boot_1', status: 'running' });
  });

  test('never takes back what was shown as billed', async () => {
    await note();
    await sql(`update runtime_intervals set billed_until = now() + interval '1 minute' where instance_id = ? returning id`);
    await begin();
    const [row] = await sql<{ isBilled: boolean }>(
      'select ended_at = billed_until as "isBilled" from runtime_intervals where instance_id = ?',
    );
    expect(row?.isBilled).toBe(true);
  });

  test('is the last one when it is the fourth within an hour, or when the data cannot be read', async () => {
    const giveUp = async (): Promise<unknown> =>
      (await sql<{ why: string | null }>('select give_up_for as why from instances where id = ?'))[0]?.why;
    for (const why of [null, null, null, 'gateway_broken']) {
      expect(await begin()).toBe(true);
      expect(await giveUp()).toBe(why);
      await sql(
        `update instances set boot_id = 'boot_1', status = 'running', transition_kind = null, give_up_for = null where id = ? returning id`,
      );
    }
    await sql(`update instances set breakdowns = '{}' where id = ? returning id`);
    expect(await begin('gateway_damaged')).toBe(true);
    expect(await giveUp()).toBe('gateway_damaged');
  });
});
