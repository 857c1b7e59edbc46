import { describe, expect, test } from '@jest/globals';
import type { TurnView } from '../../database/messages/find-turn.ts';
import { TurnFeed } from '../../turns/turn-feed.ts';

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
    usage: { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, thinkingTokens: 0, models: [] },
  };
}

/** What a follower gets when these texts and then this end are heard while it listens. */
async function follow(texts: readonly string[], end: TurnView | null): Promise<string[]> {
  const feed = new TurnFeed('msg_1');
  const received: string[] = [];
  const listening = (async () => {
    for await (const delta of feed.deltas()) received.push(delta);
  })();
  for (const text of texts) {
    feed.update(text);
    await new Promise(setImmediate);
  }
  feed.end(end);
  await listening;
  return received;
}

describe('a stream is the reply in pieces', () => {
  test('each piece leaves when it comes, and together they are the reply', async () => {
    expect(await follow(['a', 'ab', 'abc'], completed('abcd'))).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a second try that begins anew goes on where it extends what was sent', async () => {
    expect(await follow(['one two', 'one', 'one two three'], completed('one two three'))).toEqual(['one two', ' three']);
  });

  test('a reply that does not continue what was sent ends in an error, not in a patchwork', async () => {
    await expect(follow(['one two', 'three'], completed('three four'))).rejects.toMatchObject({
      code: 'instance_not_ready',
      retryable: false,
      messageId: 'msg_1',
    });
  });

  test('blanks that the stored reply has lost at its end are no contradiction', async () => {
    expect(await follow(['one \n'], completed('one'))).toEqual(['one \n']);
  });

  test('a turn that fails just ends: its error tells why', async () => {
    expect(await follow(['one'], { ...completed(''), status: 'failed', errorReason: 'model_error' })).toEqual(['one']);
    expect(await follow(['one'], null)).toEqual(['one']);
  });

  test('who comes late gets all of it, before and after the end', async () => {
    const feed = new TurnFeed('msg_1');
    feed.update('one two');
    const deltas = feed.deltas();
    expect(await deltas.next()).toEqual({ done: false, value: 'one two' });
    feed.end(completed('one two three'));
    expect(await deltas.next()).toEqual({ done: false, value: ' three' });
    const pieces = [];
    for await (const delta of feed.deltas()) pieces.push(delta);
    expect(pieces).toEqual(['one two three']);
  });
});
