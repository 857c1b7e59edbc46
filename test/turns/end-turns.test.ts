import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { claimAttempt } from '../../database/messages/claim-turn.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { cancelTurn } from './cancel-turn.ts';
import { countTurnsInFlight } from '../../database/messages/pending-turns.ts';
import { endTurn, endTurnFirst, endTurns } from '../../turns/end-turns.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { cancelledEnd, errorOfTurn, failedEnd } from '../../turns/turn-end.ts';
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

const accept = (sessionId = '') => turns.accept(instance, { owner, sessionId });
const claim = (messageId: string) =>
  claimAttempt(turns.orm.em.fork(), { messageId, attempt: 0, next: 1, claimant: { kind: 'process', owner } });
const isAbortDue = async (messageId: string) => {
  const [row] = await turns.rows<{ abort_due: boolean }>('select abort_due from messages where id = ?', [messageId]);
  return row?.abort_due;
};

describe('a turn ends once, whoever sees its end first', () => {
  test('of two that see the same end at once, fifty times, one writes it, with one event', async () => {
    for (let round = 0; round < 50; round += 1) {
      const { messageId } = await accept(`round-${round}`);
      const ends = await Promise.all([
        endTurn(turns.deps, messageId, { status: 'completed', content: 'from the API', finishReason: 'stop' }),
        endTurn(turns.deps, messageId, { status: 'completed', content: 'from the watcher', finishReason: 'stop' }),
      ]);

      expect(ends.filter(Boolean)).toHaveLength(1);
      const content = ends[0] ? 'from the API' : 'from the watcher';
      expect(await turns.turn(messageId)).toMatchObject({ status: 'completed', content });
      expect(await turns.events(messageId)).toEqual([{ type: 'agent.message', content, error_code: null }]);
    }
    const seqs = await turns.rows<{ seq: number }>('select seq::float8 from events where account_id = ? order by seq', [
      instance.accountId,
    ]);
    expect(seqs.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });

  test('a reply and a cancel at once leave one of them, and the other side is told', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { messageId } = await accept(`round-${round}`);
      const [replied, cancelled] = await Promise.all([
        endTurn(turns.deps, messageId, { status: 'completed', content: 'done', finishReason: 'stop' }),
        endTurnFirst(turns.deps, messageId, cancelledEnd()),
      ]);
      expect(cancelled).toBe(replied ? 'was-ended' : 'ended');
      expect(await turns.events(messageId)).toHaveLength(1);
    }
  });

  test('a claim and a cancel at once: what is sent is marked for the abort', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { messageId } = await accept(`round-${round}`);
      const [claimed] = await Promise.all([claim(messageId), endTurnFirst(turns.deps, messageId, cancelledEnd())]);
      expect(await isAbortDue(messageId)).toBe(claimed !== null);
      expect((await turns.turn(messageId)).status).toBe('cancelled');
    }
  });
});

describe('ending the turns of an instance or an agent', () => {
  test('a stop ends what runs and what waits, each with its event; only what was sent is to be aborted', async () => {
    const [running, waiting, elsewhere] = [await accept(), await accept(), await accept('elsewhere')];
    const other = await turns.accept(await turns.newInstance());
    await claim(running.messageId);
    expect(await countTurnsInFlight(turns.orm.em.fork(), instance.instanceId)).toBe(1);

    expect(await endTurns(turns.deps, { instanceId: instance.instanceId }, failedEnd('instance_stopped'))).toBe(3);

    for (const { messageId } of [running, waiting, elsewhere]) {
      expect(await turns.turn(messageId)).toMatchObject({ status: 'failed', errorReason: 'instance_stopped', content: '' });
      expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'instance_stopped' }]);
      expect(await isAbortDue(messageId)).toBe(messageId === running.messageId);
    }
    expect(await countTurnsInFlight(turns.orm.em.fork(), instance.instanceId)).toBe(0);
    expect((await turns.turn(other.messageId)).status).toBe('pending');
    expect(await endTurns(turns.deps, { instanceId: instance.instanceId }, failedEnd('instance_stopped'))).toBe(0);
  });

  test('a deleted agent ends its turns as cancelled', async () => {
    const { messageId } = await accept();

    expect(await endTurns(turns.deps, { agentId: instance.agentId }, cancelledEnd())).toBe(1);

    expect(await turns.turn(messageId)).toMatchObject({ status: 'cancelled', errorReason: 'cancelled' });
  });

  test('an end that is rolled back has not happened', async () => {
    const { messageId } = await accept();
    const failing = runTransaction(turns.orm.em, async (em) => {
      await em.execute(`update messages set status = 'cancelled' where id = ?`, [messageId], 'run');
      throw new Error('the process died');
    });

    await expect(failing).rejects.toThrow('the process died');
    expect(await endTurn(turns.deps, messageId, { status: 'completed', content: 'yes', finishReason: 'stop' })).toMatchObject({
      messageId,
      status: 'completed',
      content: 'yes',
    });
  });
});

describe('cancelling', () => {
  const noGateway = () =>
    createGatewayConnections({ endpoints: { endpoint: () => Promise.resolve(null) }, masterKeys: [], log: turns.deps.log });

  test('ends a waiting turn at once, and one that has ended is a conflict', async () => {
    const { messageId } = await accept();
    const deps = { ...turns.deps, connections: noGateway() };

    await cancelTurn(deps, instance, messageId);

    expect(await turns.turn(messageId)).toMatchObject({ status: 'cancelled' });
    expect(await turns.events(messageId)).toMatchObject([{ type: 'agent.error', error_code: 'cancelled' }]);
    await expect(cancelTurn(deps, instance, messageId)).rejects.toMatchObject({ code: 'conflict', messageId });
    await expect(cancelTurn(deps, instance, 'msg_unknown00000')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('ends a running turn though its gateway cannot be told now; the mark stays for later', async () => {
    const { messageId } = await accept();
    await claim(messageId);

    await cancelTurn({ ...turns.deps, connections: noGateway() }, instance, messageId);

    expect(await turns.turn(messageId)).toMatchObject({ status: 'cancelled' });
    expect(await isAbortDue(messageId)).toBe(true);
  });

  test('who waits for a turn is told how it ended', async () => {
    const { messageId } = await accept();
    await endTurn(turns.deps, messageId, failedEnd('model_error'));

    expect(errorOfTurn(await turns.turn(messageId), messageId)).toMatchObject({
      code: 'agent_error',
      reason: 'model_error',
      messageId,
    });
    expect(errorOfTurn(null, messageId)).toMatchObject({ code: 'instance_not_ready', messageId });
  });
});
