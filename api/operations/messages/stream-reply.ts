import type { FinishReason } from '../../../domain/turn.ts';
import type { FollowedTurn } from '../../../turns/turn-sender.ts';
import type { TurnView } from '../../../turns/turn-sender.ts';
import type { Deps } from '../../deps.ts';
import { completedTurn, orStillRunning } from './turn-answer.ts';
import type { SentTurn } from './turn-answer.ts';

export interface StreamedTurn extends SentTurn {
  model: string;
  acceptedAtMs: number;
}

interface Delta {
  role?: 'assistant';
  content?: string;
}

/**
 * The reply as the data of server-sent events: chunks of a chat completion as the gateway writes them, then `[DONE]`
 * once the reply is stored. Throws what the caller is told when the turn fails, or when nobody waits any longer.
 */
export async function* streamReply(
  deps: Deps,
  sent: StreamedTurn,
  turn: FollowedTurn,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const chunk = chunksOf(sent);
  let hasBegun = false;
  try {
    for await (const text of untilAborted(turn.deltas, sent, signal)) {
      if (!hasBegun) yield chunk({ role: 'assistant', content: '' });
      hasBegun = true;
      yield chunk({ content: text });
    }
    const { usage, finishReason } = await completedTurn(deps, sent, await orStillRunning(turn.ended, sent, signal));
    if (!hasBegun) yield chunk({ role: 'assistant', content: '' });
    yield chunk({}, finishReason ?? 'stop', { usage: usageOf(usage) });
    yield '[DONE]';
  } finally {
    turn.close();
  }
}

function chunksOf({ messageId, model, acceptedAtMs }: StreamedTurn) {
  return (delta: Delta, finishReason: FinishReason | null = null, more: object = {}): string =>
    JSON.stringify({
      id: messageId,
      object: 'chat.completion.chunk',
      created: Math.floor(acceptedAtMs / 1000),
      model,
      choices: [{ index: 0, delta, finish_reason: finishReason }],
      ...more,
    });
}

function usageOf({ inputTokens, outputTokens }: TurnView['usage']) {
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens };
}

async function* untilAborted(deltas: AsyncIterable<string>, sent: SentTurn, signal: AbortSignal): AsyncGenerator<string> {
  const iterator = deltas[Symbol.asyncIterator]();
  for (;;) {
    const next = await orStillRunning(iterator.next(), sent, signal);
    if (next.done) return;
    yield next.value;
  }
}
