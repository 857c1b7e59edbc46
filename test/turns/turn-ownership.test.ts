import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { claimAttempt } from '../../database/messages/claim-turn.ts';
import type { Claimant } from '../../database/messages/claim-turn.ts';
import { SHARD_OWNER } from '../../database/messages/pending-turns.ts';
import { handOverTurns, stampTurns } from '../../database/messages/stamp-turns.ts';
import { listTurnDuties, takeOverTurns } from '../../database/messages/watched-turns.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { openTurns } from './turns-under-test.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let instance: NewAgent;
let owner: string;

beforeAll(async () => {
  turns = await openTurns();
});
afterAll(() => turns.close());
beforeEach(async () => {
  instance = await turns.newInstance();
  owner = await turns.newProcess();
});

const process = (): Claimant => ({ kind: 'process', owner });
const claim = (messageId: string, claimant: Claimant, attempt = 0, next = attempt + 1) =>
  claimAttempt(turns.orm.em.fork(), { messageId, attempt, next, claimant });
const accept = (message: { owner?: string; sessionId?: string } = {}) => turns.accept(instance, { owner, ...message });
const setInstance = (assignment: string) =>
  turns.rows(`update instances set ${assignment} where id = ? returning id`, [instance.instanceId]);
const shardEpoch = async () => {
  const [row] = await turns.rows<{ epoch: number }>(
    `update watch_shards set epoch = epoch + 1, owner = 'proc_worker' where shard = 0 returning epoch::float8 as epoch`,
  );
  return row!.epoch;
};
const turnRow = async (messageId: string) => {
  const [row] = await turns.rows<{ owner: string; boot_id: string | null; attempt: number; deaths: number }>(
    'select owner, boot_id, attempt, deaths from messages where id = ?',
    [messageId],
  );
  return row!;
};

describe('only who owns a turn sends it, and only to the gateway that it is for', () => {
  test('its process claims it once, with everything that sending needs', async () => {
    const { messageId, conversationId } = await accept();

    const claims = await Promise.all(Array.from({ length: 10 }, () => claim(messageId, process())));

    const won = claims.filter((turn) => turn !== null);
    expect(won).toHaveLength(1);
    expect(won[0]).toMatchObject({
      messageId,
      conversationId,
      attempt: 1,
      text: 'Hello',
      gatewayAgentId: instance.gatewayAgentId,
    });
  });

  test('another process does not get it', async () => {
    const { messageId } = await accept();

    expect(await claim(messageId, { kind: 'process', owner: await turns.newProcess() })).toBeNull();
    expect(await claim(messageId, { kind: 'shard', shardEpoch: await shardEpoch() })).toBeNull();
  });

  test('a process that was silent for eight seconds gets nothing, though nobody has taken over yet', async () => {
    const { messageId } = await accept();
    await turns.rows(`update processes set seen_at = now() - interval '8.5 seconds' where id = ? returning id`, [owner]);

    expect(await claim(messageId, process())).toBeNull();
  });

  test.each([
    `transition_kind = 'stopping', desired_status = 'stopped'`,
    `transition_kind = 'restarting'`,
    `status = 'provisioning', boot_id = null`,
    `boot_id = 'boot-2'`,
  ])('nothing is sent when the instance has %s', async (assignment) => {
    const { messageId } = await accept();
    await setInstance(assignment);

    expect(await claim(messageId, process())).toBeNull();
  });

  test('a turn behind another one is not sent before that has ended', async () => {
    const [first, second] = [await accept(), await accept()];
    const elsewhere = await accept({ sessionId: 'elsewhere' });

    expect(await claim(second.messageId, process())).toBeNull();
    expect(await claim(elsewhere.messageId, process())).not.toBeNull();
    await turns.rows(`update messages set status = 'completed' where id = ? returning id`, [first.messageId]);
    expect(await claim(second.messageId, process())).not.toBeNull();
  });

  test('a later attempt needs the number of the last one, so a late comer sends nothing', async () => {
    const { messageId } = await accept();
    await claim(messageId, process());

    expect(await claim(messageId, process(), 1)).toMatchObject({ attempt: 2 });
    expect(await claim(messageId, process(), 1)).toBeNull();
  });

  test('a watcher that has lost its shard sends nothing', async () => {
    const { messageId } = await accept({ owner: SHARD_OWNER });
    const [lost, held] = [await shardEpoch(), await shardEpoch()];

    expect(await claim(messageId, { kind: 'shard', shardEpoch: lost })).toBeNull();
    expect(await claim(messageId, { kind: 'shard', shardEpoch: held })).not.toBeNull();
  });

  test('an older attempt of the start step sends nothing', async () => {
    const { messageId } = await accept();
    await setInstance(`epoch = 5, boot_id = null, transition_kind = 'recovering'`);
    const em = turns.orm.em.fork();
    const { instanceId } = instance;

    expect(await stampTurns(em, { instanceId, epoch: 4, bootId: 'boot-2' })).toBe(false);
    expect(await stampTurns(em, { instanceId, epoch: 5, bootId: 'boot-2' })).toBe(true);
    expect(await claim(messageId, { kind: 'start', epoch: 4, bootId: 'boot-2' })).toBeNull();
    expect(await claim(messageId, { kind: 'start', epoch: 5, bootId: 'boot-1' })).toBeNull();
    expect(await claim(messageId, { kind: 'start', epoch: 5, bootId: 'boot-2' })).not.toBeNull();
  });
});

describe('taking over', () => {
  const watched = (epoch: number) => [{ instanceId: instance.instanceId, shardEpoch: epoch }];

  test('the watcher takes what a silent process owns, and nothing of one that is seen', async () => {
    const other = await turns.newProcess();
    const [running, dead, waiting] = [
      await accept({ owner: other }),
      await accept({ sessionId: 's' }),
      await accept({ sessionId: 's' }),
    ];
    await claim(dead.messageId, process());
    await turns.forgetProcess(owner);

    expect(await takeOverTurns(turns.orm.em.fork(), watched(await shardEpoch()))).toBe(2);

    expect((await turnRow(running.messageId)).owner).toBe(other);
    expect(await turnRow(dead.messageId)).toMatchObject({ owner: SHARD_OWNER, attempt: 1 });
    expect(await turnRow(waiting.messageId)).toMatchObject({ owner: SHARD_OWNER, attempt: 0 });
    expect(await claim(dead.messageId, process(), 1, 1)).toBeNull();
  });

  test('a watcher that has lost its shard takes nothing', async () => {
    const { messageId } = await accept();
    await turns.forgetProcess(owner);
    const lost = await shardEpoch();
    await shardEpoch();

    expect(await takeOverTurns(turns.orm.em.fork(), watched(lost))).toBe(0);
    expect((await turnRow(messageId)).owner).toBe(owner);
  });

  test('its duties are its own heads, its own turns in flight, what ran too long, and what is to be aborted', async () => {
    const epoch = await shardEpoch();
    const [head, behind] = [await accept({ owner: SHARD_OWNER }), await accept({ owner: SHARD_OWNER })];
    const inFlight = await accept({ owner: SHARD_OWNER, sessionId: 'b' });
    const foreign = await accept({ sessionId: 'c' });
    const slow = await accept({ sessionId: 'd' });
    const ended = await accept({ sessionId: 'e' });
    await claim(inFlight.messageId, { kind: 'shard', shardEpoch: epoch });
    for (const { messageId } of [foreign, slow, ended]) await claim(messageId, process());
    await turns.rows(`update messages set sent_at = now() - interval '11 minutes' where id = ? returning id`, [slow.messageId]);
    await turns.rows(`update messages set status = 'cancelled', abort_due = true where id = ? returning id`, [ended.messageId]);

    const duties = await listTurnDuties(turns.orm.em.fork(), watched(epoch), 600_000);

    const byMessage = new Map(duties.map(({ messageId, duty }) => [messageId, duty]));
    expect(byMessage).toEqual(
      new Map([
        [head.messageId, 'send'],
        [inFlight.messageId, 'follow'],
        [slow.messageId, 'time-out'],
        [ended.messageId, 'abort'],
      ]),
    );
    expect(byMessage.has(behind.messageId)).toBe(false);
  });
});

describe('a new gateway process', () => {
  const stamp = (bootId: string) =>
    runTransaction(turns.orm.em, (em) => stampTurns(em, { instanceId: instance.instanceId, epoch: 0, bootId }));

  test('gets every pending turn, and counts one death for what was in flight, however often the step is repeated', async () => {
    const [inFlight, waiting] = [await accept(), await accept()];
    await claim(inFlight.messageId, process());
    await setInstance('boot_id = null');

    for (let repeat = 0; repeat < 3; repeat += 1) expect(await stamp('boot-2')).toBe(true);

    expect(await turnRow(inFlight.messageId)).toEqual({ owner: SHARD_OWNER, boot_id: 'boot-2', attempt: 1, deaths: 1 });
    expect(await turnRow(waiting.messageId)).toEqual({ owner: SHARD_OWNER, boot_id: 'boot-2', attempt: 0, deaths: 0 });
    await stamp('boot-3');
    expect(await turnRow(inFlight.messageId)).toMatchObject({ boot_id: 'boot-3', deaths: 2 });
  });

  test('after an end on purpose counts no death', async () => {
    const { messageId } = await accept();
    await claim(messageId, process());
    await setInstance('boot_id = null');

    await handOverTurns(turns.orm.em.fork(), instance.instanceId);
    await stamp('boot-2');

    expect(await turnRow(messageId)).toMatchObject({ owner: SHARD_OWNER, boot_id: 'boot-2', deaths: 0 });
  });

  test('adopted by a new worker counts no death', async () => {
    const { messageId } = await accept();
    await claim(messageId, process());
    await setInstance('boot_id = null');

    await stamp('boot-1');

    expect(await turnRow(messageId)).toMatchObject({ owner: SHARD_OWNER, boot_id: 'boot-1', deaths: 0 });
  });
});
