import { offeredModel } from '../support/offered-model.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runTransaction } from '../../database/run-transaction.ts';
import { NO_LIMITS } from '../../domain/access/key-scopes.ts';
import { acceptMessage } from '../../turns/conversation/accept-message.ts';
import type { AcceptedMessage, NewMessage } from '../../turns/conversation/accept-message.ts';
import { awaitReply } from '../../turns/conversation/await-reply.ts';
import { cancelMessage } from '../../turns/conversation/cancel-message.ts';
import type { ConversationDeps } from '../../turns/conversation/conversation-deps.ts';
import { findOwnAgent, holdOwnAgent } from '../../turns/conversation/own-agent.ts';
import type { ConversationActor } from '../../turns/conversation/own-agent.ts';
import { readHistory } from '../../turns/conversation/read-history.ts';
import { readMessage } from '../../turns/conversation/read-message.ts';
import { followEnded, replayTurn } from '../../turns/conversation/replay-turn.ts';
import { sendAccepted } from '../../turns/conversation/send-accepted.ts';
import { streamReply } from '../../turns/conversation/stream-reply.ts';
import type { ReplyPart } from '../../turns/conversation/stream-reply.ts';
import { endTurn } from '../../turns/end-turns.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import type { ProcessLease } from '../../turns/process-lease.ts';
import { createTurnSender } from '../../turns/turn-sender.ts';
import type { FollowedTurn, TurnSender } from '../../turns/turn-sender.ts';
import type { NewAgent } from '../factories.ts';
import { PATIENCE_MS } from '../support/eventually.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let lease: ProcessLease;
let sender: TurnSender;
let deps: ConversationDeps;
let agent: NewAgent;
let actor: ConversationActor;

beforeAll(async () => {
  turns = await openTurns();
});
afterAll(() => turns.close());
beforeEach(async () => {
  const { orm, notifications, deps: turnDeps } = turns;
  const { log, makeId } = turnDeps;
  // No gateway runs: the turns end as the test says.
  const connections = createGatewayConnections({ endpoints: { endpoint: () => Promise.resolve(null) }, masterKeys: [], log });
  lease = createProcessLease({ orm, kind: 'api', makeId, log });
  await lease.start();
  sender = createTurnSender({ ...turnDeps, connections, lease, notifications });
  agent = await turns.newInstance();
  actor = { accountId: agent.accountId, keyId: null, limits: NO_LIMITS };
  const { model } = await findOwnAgent(orm.em.fork(), actor, agent);
  deps = { ...turnDeps, notifications, connections, turnSender: sender, models: { [model]: offeredModel({ upstream: model }) } };
});
afterEach(async () => {
  await sender.stop();
  await lease.stop();
});

const accept = (message: NewMessage, by = actor): Promise<AcceptedMessage> =>
  runTransaction(turns.orm.em, async (em) => acceptMessage(em, deps, by, await holdOwnAgent(em, by, agent), message));
const reply = (messageId: string, content: string) =>
  endTurn(turns.deps, messageId, { status: 'completed', content, finishReason: 'stop' });
const wait = (sent: AcceptedMessage, turn: FollowedTurn, timeoutMs = PATIENCE_MS) =>
  awaitReply(deps, sent, turn, { timeoutMs, signal: new AbortController().signal });

async function partsOf(parts: AsyncIterable<ReplyPart>): Promise<(string | null)[]> {
  const seen = [];
  for await (const part of parts) seen.push(part.kind === 'text' ? part.text : part.turn.finishReason);
  return seen;
}

describe('a conversation is held without any door', () => {
  test('a message is accepted, followed and answered, and both sides are in the history', async () => {
    const sent = await accept({ text: 'Hello' });
    const turn = sendAccepted(deps, sent);
    await reply(sent.messageId, 'Good morning');

    expect(await wait(sent, turn)).toMatchObject({ id: sent.messageId, content: 'Good morning', status: 'completed' });
    const em = turns.orm.em.fork();
    const own = await findOwnAgent(em, actor, agent);
    const { entries } = await readHistory(em, own, { order: 'newest-first', limit: 10 });
    expect(entries.map(({ role, content }) => [role, content])).toEqual([
      ['agent', 'Good morning'],
      ['user', 'Hello'],
    ]);
    expect(await readMessage(em, own, sent.messageId)).toMatchObject({ content: 'Good morning' });
  });

  test('who speaks is the account, or who the message names, by the id where it has no name', async () => {
    const asAccount = await accept({ text: 'one' });
    const asUser = await accept({ text: 'two', sender: { type: 'bot', id: 'b7' } });
    const senders = await turns.rows(
      `select u.sender_type, u.sender_id, u.sender_name from messages u join messages m using (conversation_id, number)
        where m.id in (?, ?) and u.role = 'user' order by u.number`,
      [asAccount.messageId, asUser.messageId],
    );
    expect(senders).toEqual([
      { sender_type: 'human', sender_id: agent.accountId, sender_name: expect.any(String) },
      { sender_type: 'bot', sender_id: 'b7', sender_name: 'b7' },
    ]);
  });

  test('a reply is streamed in pieces, and its end comes when it is stored', async () => {
    const sent = await accept({ text: 'Hello' });
    const parts = partsOf(streamReply(deps, sent, sendAccepted(deps, sent), new AbortController().signal));
    await reply(sent.messageId, 'Good morning');
    expect(await parts).toEqual(['Good morning', 'stop']);
  });

  test('a message that is sent again has no reply before its turn has ended, and then the same', async () => {
    const sent = await accept({ text: 'Hello' });
    await expect(replayTurn(deps, sent)).rejects.toMatchObject({ why: 'pending', code: 'conflict', messageId: sent.messageId });
    await reply(sent.messageId, 'Good morning');
    const turn = await replayTurn(deps, sent);
    expect(turn).toMatchObject({ content: 'Good morning' });
    const parts = streamReply(deps, sent, followEnded(turn), new AbortController().signal);
    expect(await partsOf(parts)).toEqual(['Good morning', 'stop']);
  });

  test('a wait that ends before its turn says so, and the turn goes on', async () => {
    const sent = await accept({ text: 'Hello' });
    const failure = { why: 'still_running', code: 'timeout', messageId: sent.messageId };
    await expect(wait(sent, sendAccepted(deps, sent), 1)).rejects.toMatchObject(failure);
    expect(await reply(sent.messageId, 'Good morning')).toMatchObject({ status: 'completed', content: 'Good morning' });
  });

  test('a cancelled turn fails for those who wait, by the id of the message or of its reply', async () => {
    const sent = await accept({ text: 'Hello' });
    const waiting = wait(sent, sendAccepted(deps, sent));
    const own = await findOwnAgent(turns.orm.em.fork(), actor, agent);
    const { requestMessageId } = await turns.turn(sent.messageId);
    const cancelled = await runTransaction(turns.orm.em, (em) => cancelMessage(em, deps, own, requestMessageId!));
    expect(cancelled).toMatchObject({ id: sent.messageId, status: 'cancelled' });
    await expect(waiting).rejects.toMatchObject({ code: 'agent_error', reason: 'cancelled', messageId: sent.messageId });
  });

  test('the agent of another account, or of an instance that the key does not reach, is not found', async () => {
    const { accountId, instanceId } = await turns.newInstance();
    const others = [
      { accountId, keyId: null, limits: NO_LIMITS },
      { ...actor, limits: { instanceId } },
    ];
    for (const other of others) {
      await expect(findOwnAgent(turns.orm.em.fork(), other, agent)).rejects.toMatchObject({ code: 'not_found' });
      await expect(accept({ text: 'Hello' }, other)).rejects.toMatchObject({ code: 'not_found' });
    }
  });

  test('an agent whose model is no longer offered takes no message', async () => {
    deps = { ...deps, models: {} };
    await expect(accept({ text: 'Hello' })).rejects.toMatchObject({ code: 'agent_error', reason: 'model_error' });
  });
});
