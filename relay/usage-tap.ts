import { z } from 'zod';
import { endingSoonAfter } from './ending-soon-after.ts';
import { estimatedTokens } from './estimated-tokens.ts';
import { createLineScanner } from './line-scanner.ts';

export interface Usage {
  inputTokens: number;
  outputTokens: number;
}

/**
 * What is told once per answer, at its end. Null: the provider did not say, or the answer was cut before it did. Of what
 * came the tokens are counted in any case, by estimate.
 */
export type RecordUsage = (usage: Usage | null, finishReason: string | null, tokensThatCame: number) => Promise<void>;

const MAX_LINE_BYTES = 1024 ** 2;
const MAX_TOKENS = 2 ** 31 - 1;

/** Within a text of the answer the quotes are escaped. */
const FINISH_REASON = /"finish_reason"\s*:\s*"([a-z_]{1,32})"/;

const tokens = z.number().int().min(0).max(MAX_TOKENS);
const withUsage = z
  .object({ usage: z.object({ prompt_tokens: tokens, completion_tokens: tokens }) })
  .transform(({ usage }): Usage => ({ inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens }));

/** Fields of a part of an answer that the model has not written. */
const NAMES = new Set(['role', 'type', 'id']);
const withDeltas = z.object({ choices: z.array(z.object({ delta: z.unknown() })) });

/**
 * Passes an event stream through byte by byte and reads the usage on the side. Everything before `[DONE]` leaves at
 * once; `[DONE]`, or the end of a stream without one, leaves when record has returned. A stream that does not end soon
 * after its `[DONE]` is ended. Record is called exactly once for every stream that was begun to be read, a broken or
 * abandoned one too.
 */
export async function* tapEventStream(source: AsyncIterable<Uint8Array>, record: RecordUsage): AsyncGenerator<Uint8Array> {
  const scanner = createLineScanner(MAX_LINE_BYTES);
  let usage: Usage | null = null;
  let finishReason: string | null = null;
  let recorded = false;
  let textBytes = 0;
  const look = (line: string): void => {
    usage = usageOf(line) ?? usage;
    finishReason = finishReasonOf(line) ?? finishReason;
    textBytes += bytesOfDelta(line);
  };
  const recordOnce = async (): Promise<void> => {
    if (recorded) return;
    recorded = true;
    await record(usage, finishReason, estimatedTokens(textBytes));
  };
  try {
    for await (const chunk of endingSoonAfter(source, () => recorded)) {
      let heldFrom: number | null = null;
      for (const { text, startsAt } of scanner.push(chunk)) {
        look(text);
        if (/^data: ?\[DONE\]\s*$/.test(text)) heldFrom ??= startsAt;
      }
      if (heldFrom === null) {
        yield chunk;
        continue;
      }
      if (heldFrom > 0) yield chunk.subarray(0, heldFrom);
      await recordOnce();
      yield chunk.subarray(heldFrom);
    }
    look(scanner.end());
  } finally {
    await recordOnce();
  }
}

/** Passes an answer through that is one JSON object. It leaves as a whole, when record has returned. */
export async function* tapJson(source: AsyncIterable<Uint8Array>, record: RecordUsage): AsyncGenerator<Uint8Array> {
  const parts: Uint8Array[] = [];
  let usage: Usage | null = null;
  let finishReason: string | null = null;
  try {
    for await (const part of source) parts.push(part);
    // Unlike a Buffer it leaves out a byte order mark, which is no JSON.
    const json = new TextDecoder().decode(Buffer.concat(parts));
    usage = parseUsage(json);
    finishReason = finishReasonOf(json);
  } finally {
    await record(usage, finishReason, estimatedTokens(parts.reduce((sum, { length }) => sum + length, 0)));
  }
  yield* parts;
}

/** The last one counts: some providers send a running total with every chunk. */
function usageOf(line: string): Usage | null {
  return line.startsWith('data:') && line.includes('"usage"') ? parseUsage(line.slice('data:'.length)) : null;
}

/** How much of an answer this line of its stream holds: text, thoughts and calls of tools, whatever the provider names them. */
function bytesOfDelta(line: string): number {
  if (!line.startsWith('data:') || !line.includes('"delta"')) return 0;
  try {
    const { choices } = withDeltas.parse(JSON.parse(line.slice('data:'.length)));
    return choices.reduce((sum, { delta }) => sum + bytesOfTexts(delta), 0);
  } catch {
    return 0;
  }
}

function bytesOfTexts(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce((sum, [name, part]) => sum + (NAMES.has(name) ? 0 : bytesOfTexts(part)), 0);
}

function finishReasonOf(text: string): string | null {
  return FINISH_REASON.exec(text)?.[1] ?? null;
}

function parseUsage(json: string): Usage | null {
  try {
    return withUsage.parse(JSON.parse(json));
  } catch {
    return null;
  }
}
