import { describe, expect, test } from '@jest/globals';
import type { TurnView } from '../../database/messages/find-turn.ts';
import { readPlace, ReplyPlaces, writePlace } from '../../turns/conversation/reply-place.ts';
import type { ReplyPlace } from '../../turns/conversation/reply-place.ts';
import { replyAfter, TurnFeed } from '../../turns/turn-feed.ts';
import type { ReplyPiece } from '../../turns/turn-feed.ts';

function completed(content: string): TurnView {
  return {
    messageId: 'msg_1',
    requestMessageId: 'msg_0',
    instanceId: 'inst_1',
    agentId: 'agt_1',
    conversationId: 'conv_1',
    sessionId: '',
    status: 'completed',
    content,
    finishReason: 'stop',
    errorReason: null,
    errorMessage: null,
    createdAt: new Date(0),
    endedAt: new Date(0),
    isDeleted: false,
    usage: {
      inputTokens: 1,
      outputTokens: 1,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      thinkingTokens: 0,
      costNanoUsd: '0',
      models: [],
    },
  };
}

/** What a follower gets when these texts and then this end are heard while it listens. */
async function follow(texts: readonly string[], end: TurnView | null, after?: ReplyPlace): Promise<ReplyPiece[]> {
  const feed = new TurnFeed('msg_1');
  const received: ReplyPiece[] = [];
  const listening = (async () => {
    for await (const piece of feed.deltas(after)) received.push(piece);
  })();
  for (const text of texts) {
    feed.update(text);
    await new Promise(setImmediate);
  }
  feed.end(end);
  await listening;
  return received;
}

const textsOf = (pieces: readonly ReplyPiece[]): string[] => pieces.map(({ text }) => text);
const follows = async (texts: readonly string[], end: TurnView | null): Promise<string[]> => textsOf(await follow(texts, end));
const placeAfter = (text: string): ReplyPlace => new ReplyPlaces().add(text);

const NOT_CONTINUED = { code: 'instance_not_ready', retryable: false, messageId: 'msg_1' };

describe('a stream is the reply in pieces', () => {
  test('each piece leaves when it comes, and together they are the reply', async () => {
    expect(await follows(['a', 'ab', 'abc'], completed('abcd'))).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a second try that begins anew goes on where it extends what was sent', async () => {
    expect(await follows(['one two', 'one', 'one two three'], completed('one two three'))).toEqual(['one two', ' three']);
  });

  test('a reply that does not continue what was sent ends in an error, not in a patchwork', async () => {
    await expect(follows(['one two', 'three'], completed('three four'))).rejects.toMatchObject(NOT_CONTINUED);
  });

  test('blanks are sent with what follows them, because the stored reply may lose those at its end', async () => {
    expect(await follows(['one \n', 'one \n two \u00a0'], completed('one \n two'))).toEqual(['one', ' \n two']);
    expect(await follows(['one \n'], completed('one \n'))).toEqual(['one', ' \n']);
  });

  test('a turn that fails just ends: its error tells why', async () => {
    expect(await follows(['one'], { ...completed(''), status: 'failed', errorReason: 'model_error' })).toEqual(['one']);
    expect(await follows(['one'], null)).toEqual(['one']);
  });

  test('who comes late gets all of it, before and after the end', async () => {
    const feed = new TurnFeed('msg_1');
    feed.update('one two');
    const deltas = feed.deltas();
    expect(await deltas.next()).toMatchObject({ done: false, value: { text: 'one two' } });
    feed.end(completed('one two three'));
    expect(await deltas.next()).toMatchObject({ done: false, value: { text: ' three' } });
    const pieces = [];
    for await (const { text } of feed.deltas()) pieces.push(text);
    expect(pieces).toEqual(['one two three']);
  });
});

describe('a stream goes on after any piece', () => {
  const REPLY = 'One 😀 two.\n\n  Thr\u00e9e 👩‍👩‍👧 four.';
  const told = Array.from(REPLY).map((_none, index, all) => all.slice(0, index + 1).join(''));

  test('the pieces up to a place and those behind it are the reply, wherever it was cut', async () => {
    const whole = await follow(told, completed(REPLY));
    expect(whole.length).toBeGreaterThan(20);
    for (const [index, { place }] of whole.entries()) {
      const before = textsOf(whole.slice(0, index + 1)).join('');
      // Live, from the beginning of another try, and when all is over.
      for (const texts of [told, told.slice(place.length), []]) {
        const rest = textsOf(await follow(texts, completed(REPLY), readPlace(writePlace(place)) ?? undefined));
        expect(before + rest.join('')).toBe(REPLY);
      }
      expect(before + textsOf([...replyAfter(completed(REPLY), place)]).join('')).toBe(REPLY);
    }
  });

  test('another try that says something else is never put behind what a client has', async () => {
    const place = placeAfter('one two');
    const other = 'one too many';
    await expect(follow(['one', 'one too', other], completed(other), place)).rejects.toMatchObject(NOT_CONTINUED);
    expect(() => [...replyAfter(completed(other), place)]).toThrow(expect.objectContaining(NOT_CONTINUED));
    expect(() => [...replyAfter(completed('one'), place)]).toThrow(expect.objectContaining(NOT_CONTINUED));
    // A third try may say what the first had said.
    expect(textsOf(await follow([other, 'one two three'], completed('one two three'), place))).toEqual([' three']);
  });

  test('nothing is left to send behind the end, nor where the turn fails', async () => {
    expect(await follow(['one'], completed('one'), placeAfter('one'))).toEqual([]);
    expect(await follow(['one'], { ...completed(''), status: 'cancelled' }, placeAfter('one'))).toEqual([]);
  });

  test.each(['', '5', '5-', '-1-e3b0c44298fc1c14', '5-E3B0C44298FC1C14', '5-e3b0c44298fc1c14x', '999999999-e3b0c44298fc1c14'])(
    '%j is no place',
    (text) => {
      expect(readPlace(text)).toBeNull();
    },
  );
});
