import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ReplyPlace } from '../../turns/conversation/reply-place.ts';
import type { ReplyPiece } from '../../turns/turn-feed.ts';
import type { FollowedTurn } from '../../turns/turn-sender.ts';
import type { NewAgent } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { AGENT } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import type { ScriptedControl } from '../support/scripted-gateway/scripted-control.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { collect, startApi, startWatch } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import { instanceToRecover } from './recovery-under-test.ts';
import type { InstanceToRecover } from './recovery-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let control: ScriptedControl;
let instance: NewAgent;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [turns, { gateway, control }] = await Promise.all([openTurns(), startScripted()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  const { bootId } = await gateway.connect();
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: AGENT });
});
afterEach(async () => {
  control.behave();
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function newApi(): Promise<ApiUnderTest> {
  const api = await startApi(turns, gateway);
  open.push(api);
  return api;
}

async function newRecovery(): Promise<InstanceToRecover> {
  const recovery = await instanceToRecover(turns, gateway);
  open.push(recovery);
  return recovery;
}

/** Reads pieces until they are this text together, and leaves. */
async function readUntil(followed: FollowedTurn, text: string): Promise<ReplyPiece[]> {
  const pieces: ReplyPiece[] = [];
  for await (const piece of followed.deltas) {
    pieces.push(piece);
    if (pieces.map((one) => one.text).join('') === text) break;
  }
  followed.close();
  return pieces;
}

const restOf = async (api: ApiUnderTest, messageId: string, after?: ReplyPlace): Promise<string> =>
  (await collect(api.sender.follow(messageId, after))).join('');

describe('a reply is streamed by any process', () => {
  test('one that does not send it has what was said so far at once, and then each piece as it comes', async () => {
    const [owner, other] = [await newApi(), await newApi()];
    const { messageId, followed } = await owner.say(instance, { text: '[[WORDS 6]] [[HOLD live 3]]', sessionId: 'live' });
    await readUntil(followed, 'w1 w2 w3');

    // Nothing more is said before these have what was said: it comes from the gateway, not from the end.
    const [first] = await readUntil(other.sender.follow(messageId), 'w1 w2 w3');
    expect(first?.text).toBe('w1 w2 w3');
    const listening = [restOf(other, messageId, first?.place), restOf(owner, messageId, first?.place)];
    control.release('live');
    expect(await Promise.all(listening)).toEqual([' w4 w5 w6', ' w4 w5 w6']);
  });

  test('the process that sends it is killed: the client goes on at another, from any piece on, and lacks no character', async () => {
    const [owner, other] = [await newApi(), await newApi()];
    const text = '[[PIECES ["one ", "😀\\n", "\\n two", " three", " four", " five \\n"]]] [[HOLD killed 4]]';
    const { messageId, followed } = await owner.say(instance, { text, sessionId: 'killed' });
    const pieces = await readUntil(followed, 'one 😀\n\n two three');
    await owner.die();

    const cuts = [undefined, ...pieces.map(({ place }) => place)];
    const rests = cuts.map((after) => restOf(other, messageId, after));
    open.push(await startWatch(turns, gateway, instance));
    control.release('killed');
    const { content } = await turns.end(messageId);
    expect(content).toMatch(/^one 😀\n\n two three four five/);
    for (const [index, rest] of (await Promise.all(rests)).entries()) {
      const before = pieces.slice(0, index).map((piece) => piece.text);
      expect(before.join('') + rest).toBe(content);
    }
  });

  test('one that waits for its turn is streamed where it is not sent', async () => {
    const [owner, other] = [await newApi(), await newApi()];
    const front = await owner.say(instance, { text: '[[SAY First.]] [[HOLD front]]', sessionId: 'queue' });
    const { messageId } = await owner.say(instance, { text: '[[WORDS 4]] [[HOLD behind 2]]', sessionId: 'queue' });
    const reading = readUntil(other.sender.follow(messageId), 'w1 w2');
    control.release('front');
    await front.followed.ended;
    const place = (await reading).at(-1)?.place;
    control.release('behind');
    expect(await restOf(other, messageId, place)).toBe(' w3 w4');
  });
});

describe('a gateway dies in the middle of a reply', () => {
  test('its next try goes on where it says the same, at whichever process', async () => {
    const { api, agent, recover } = await newRecovery();
    const other = await newApi();
    const { messageId, followed } = await api.say(agent, { text: '[[WORDS 6]] [[HOLD same 3]]', sessionId: 'same' });
    const [first] = await readUntil(followed, 'w1 w2 w3');
    const still = collect(api.sender.follow(messageId));
    await gateway.kill();
    await recover();
    const elsewhere = restOf(other, messageId, first?.place);
    control.release('same');
    expect((await still).join('')).toBe('w1 w2 w3 w4 w5 w6');
    expect(await elsewhere).toBe('w1 w2 w3 w4 w5 w6'.slice(first?.text.length));
  });

  test('its next try says something else: whoever has the first one gets an error at every process, and the new one from its beginning', async () => {
    const { api, agent, recover } = await newRecovery();
    const other = await newApi();
    const { messageId, followed } = await api.say(agent, { text: '[[WORDS 6]] [[HOLD other 3]]', sessionId: 'other' });
    const place = (await readUntil(followed, 'w1 w2 w3')).at(-1)?.place;
    const streams = [collect(api.sender.follow(messageId)), restOf(other, messageId, place)];
    control.misbehave({ kind: 'say', text: 'w1 is another story.', times: 1 }, { survivesRestart: true });
    await gateway.kill();
    const refusals = Promise.all(
      streams.map((stream) => expect(stream).rejects.toMatchObject({ why: 'not_continued', messageId, retryable: false })),
    );
    await recover();
    await refusals;
    const content = 'w1 is another story.';
    expect((await turns.end(messageId)).content).toBe(content);
    for (const process of [api, other]) {
      expect(await restOf(process, messageId)).toBe(content);
      await expect(restOf(process, messageId, place)).rejects.toMatchObject({ why: 'not_continued' });
    }
  });
});

test('a client that left and came back goes on with the reply', async () => {
  const [owner, other] = [await newApi(), await newApi()];
  const { messageId } = await owner.say(instance, { text: '[[WORDS 6]] [[HOLD left 3]]', sessionId: 'left' });
  const followed = other.sender.follow(messageId);
  await readUntil(followed, 'w1 w2 w3');
  // Coming back begins to listen anew.
  const again = other.sender.follow(messageId);
  const place = (await readUntil(again, 'w1 w2 w3')).at(-1)?.place;
  control.release('left');
  expect(await restOf(other, messageId, place)).toBe(' w4 w5 w6');
  await eventually(async () => expect((await turns.turn(messageId)).status).toBe('completed'));
});
