import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { claimAttempt } from '../../database/messages/claim-turn.ts';
import { endTurnFirst } from '../../turns/end-turns.ts';
import { cancelledEnd } from '../../turns/turn-end.ts';
import { eventually } from '../support/eventually.ts';
import { AGENT, borrowGateway } from '../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { collect } from './processes-under-test.ts';
import { instanceToRecover } from './recovery-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

/** What the gateway adds when it repeats a turn by itself. */
const INTERRUPTED = '[System] Your previous turn was interrupted';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;

beforeAll(async () => {
  [turns, gateway] = await Promise.all([openTurns(), borrowGateway()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});

const callsWith = (text: string) => gateway.model.calls.filter(({ lastUserText }) => lastUserText.includes(text));
const modelCalled = (text: string) => gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(text));
/** Whether the gateway was faster, on a slow machine, than the step that takes up the turn with this text. */
const wasRepeated = (text: string) =>
  gateway.model.calls.some(({ messages }) => {
    const all = JSON.stringify(messages);
    return all.includes(text) && all.includes(INTERRUPTED);
  });

test('a real gateway that is killed loses no turn at any point of its way, answers each once, and goes on with none that was ended', async () => {
  const instance = await instanceToRecover(turns, gateway);
  const { api, say, expectOneReply } = instance;
  const early = await say('Remember 4711. [[SAY Noted.]]', 'slash');
  await expectOneReply(early.messageId, 'Noted.');
  const claimed = await turns.accept(instance.agent, {
    owner: api.sender.owner(),
    text: 'p1 claimed [[SAY One.]]',
    sessionId: 'p1',
  });
  const claimant = { kind: 'process', owner: api.sender.owner() } as const;
  await claimAttempt(turns.orm.em.fork(), { messageId: claimed.messageId, attempt: 0, next: 1, claimant });
  const streaming = await say('p2 streaming [[WORDS 5]] [[HOLD p2 2]]', 'p2');
  const waiting = await say('p3 waiting [[SAY Three.]]', 'p2');
  const finished = await say('p4 finished [[SAY Four.]] [[HOLD p4]]', 'p4');
  const cancelled = await say('p5 cancelled [[WORDS 5]] [[HOLD p5 2]]', 'p5');
  const slash = await say('/new p6 slash [[WORDS 4]] [[HOLD p6 2]]', 'slash');
  await Promise.all(['p4 finished', 'p2 streaming', 'p5 cancelled', 'p6 slash'].map(modelCalled));
  const pieces = collect(streaming.followed);
  // From here on nobody hears the gateway.
  const deaf = setInterval(() => api.connections.close(gateway.runtimeId), 1);
  gateway.model.release('p4');
  await eventually(() => expect(gateway.model.answered('p4 finished')).toBe(1));
  const { conversationId } = await turns.turn(finished.messageId);
  const client = await gateway.connect();
  await eventually(async () => {
    const history = await client.request('chat.history', { sessionKey: `agent:${AGENT}:conv:${conversationId}` });
    expect(JSON.stringify(history)).toContain('"status":"done"');
  });
  await endTurnFirst(turns.deps, cancelled.messageId, cancelledEnd());

  await gateway.kill();
  clearInterval(deaf);
  await instance.recover();
  for (const name of ['p2', 'p6']) gateway.model.release(name);

  const anyText: unknown = expect.stringMatching(/./);
  const repeatedOr = (text: string, content: string) => (wasRepeated(text) ? anyText : content);
  await expectOneReply(claimed.messageId, 'One.');
  expect(await turns.end(streaming.messageId)).toMatchObject({ status: 'completed' });
  await expectOneReply(streaming.messageId, repeatedOr('p2 streaming', 'w1 w2 w3 w4 w5'));
  await expectOneReply(waiting.messageId, 'Three.');
  await expectOneReply(finished.messageId, 'Four.');
  expect((await pieces).join('')).toBe((await turns.turn(streaming.messageId)).content);
  expect(await waiting.followed.ended).toMatchObject({ content: 'Three.' });
  expect(['p1', 'p3', 'p4'].map((name) => gateway.model.answered(`${name} `))).toEqual([1, 1, 1]);
  await instance.stopped(cancelled.messageId);
  gateway.model.release('p5');
  expect(await turns.turn(cancelled.messageId)).toMatchObject({ status: 'cancelled', content: '' });
  expect(gateway.model.answered('p5 ')).toBe(0);
  expect(await instance.countsOf(streaming.messageId)).toEqual({ attempt: 1, deaths: 1 });

  // A message that begins with a slash is text again when its turn is sent again.
  expect(await turns.end(slash.messageId)).toMatchObject({ status: 'completed' });
  await expectOneReply(slash.messageId, repeatedOr('p6 slash', 'w1 w2 w3 w4'));
  for (const { messages } of callsWith('p6 slash')) expect(JSON.stringify(messages)).toContain('Remember 4711.');

  const after = await say('p5 after [[SAY Goes on.]]', 'p5');
  await expectOneReply(after.messageId, 'Goes on.');
  await instance.close();
});
