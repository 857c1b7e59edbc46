import { endingSoonAfter } from './ending-soon-after.ts';
import { estimatedTokens } from '../lib/text/estimated-tokens.ts';
import { createLineScanner } from './line-scanner.ts';

/** The tokens of one call. Of what the model read and wrote, the rest is a part. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  /** Read from the provider's cache. */
  cacheReadTokens: number;
  /** Written to the provider's cache. */
  cacheWriteTokens: number;
  /** Written as thoughts. */
  thinkingTokens: number;
}

export const NOTHING: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, thinkingTokens: 0 };

/** What an answer says of itself. */
export interface Said {
  /** Null: the provider did not say, or the answer was cut before it did. */
  usage: Usage | null;
  /** In OpenAI's words; null when the provider did not say. */
  finishReason: string | null;
}

/** Reads an answer of one wire while it passes. */
export interface AnswerReader {
  /** Takes the next line of a stream. */
  take(line: string): void;
  /** Whether this line, or the event that it belongs to, ends a stream. */
  isEnd(line: string): boolean;
  /** What the lines have said so far. */
  said(): Said;
  /** How many bytes of text, thoughts and calls of tools the lines have held. */
  textBytes(): number;
  /** What an answer that is one object says. */
  saidBy(object: string): Said;
}

/**
 * What is told once per answer, at its end. Of what came the tokens are counted in any case, by estimate.
 */
export type RecordUsage = (usage: Usage | null, finishReason: string | null, tokensThatCame: number) => Promise<void>;

const MAX_LINE_BYTES = 1024 ** 2;

/**
 * Passes an event stream through byte by byte and reads the usage on the side. Everything before its end leaves at once; the
 * line that ends it, or the end of a stream without one, leaves when record has returned. A stream that goes on for longer
 * than a moment after that line is ended. Record is called exactly once for every stream that was begun to be read, a broken
 * or abandoned one too.
 */
export async function* tapEventStream(
  source: AsyncIterable<Uint8Array>,
  reader: AnswerReader,
  record: RecordUsage,
): AsyncGenerator<Uint8Array> {
  const scanner = createLineScanner(MAX_LINE_BYTES);
  let recorded = false;
  const recordOnce = async (): Promise<void> => {
    if (recorded) return;
    recorded = true;
    const { usage, finishReason } = reader.said();
    await record(usage, finishReason, estimatedTokens(reader.textBytes()));
  };
  try {
    for await (const chunk of endingSoonAfter(source, () => recorded)) {
      let heldFrom: number | null = null;
      for (const { text, startsAt } of scanner.push(chunk)) {
        reader.take(text);
        if (reader.isEnd(text)) heldFrom ??= startsAt;
      }
      if (heldFrom === null) {
        yield chunk;
        continue;
      }
      if (heldFrom > 0) yield chunk.subarray(0, heldFrom);
      await recordOnce();
      yield chunk.subarray(heldFrom);
    }
    reader.take(scanner.end());
  } finally {
    await recordOnce();
  }
}

/** Passes an answer through that is one JSON object. It leaves as a whole, when record has returned. */
export async function* tapJson(
  source: AsyncIterable<Uint8Array>,
  reader: AnswerReader,
  record: RecordUsage,
): AsyncGenerator<Uint8Array> {
  const parts: Uint8Array[] = [];
  let said: Said = { usage: null, finishReason: null };
  try {
    for await (const part of source) parts.push(part);
    // Unlike a Buffer it leaves out a byte order mark, which is no JSON.
    said = reader.saidBy(new TextDecoder().decode(Buffer.concat(parts)));
  } finally {
    await record(said.usage, said.finishReason, estimatedTokens(parts.reduce((sum, { length }) => sum + length, 0)));
  }
  yield* parts;
}
