import { EventSourceParserStream } from 'eventsource-parser/stream';
import { z } from 'zod';

const chunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  model: z.string(),
  choices: z
    .array(
      z.object({
        delta: z.object({ role: z.string().optional(), content: z.string().optional() }),
        finish_reason: z.string().nullable(),
      }),
    )
    .min(1),
});
const errorFrame = z.object({
  error: z.object({ code: z.string(), messageId: z.string().optional(), reason: z.string().optional() }),
});

export type Chunk = z.infer<typeof chunk>;

export interface ReadStream {
  chunks: Chunk[];
  text: string;
  /** The error frame that ended it. */
  error: z.infer<typeof errorFrame>['error'] | null;
  isDone: boolean;
}

export interface Frame {
  id: string | undefined;
  event: string | undefined;
  data: string;
}

/** The frames of a streamed answer as they come, without its comments. */
export async function* framesOf(response: Response): AsyncGenerator<Frame> {
  if (!response.body) throw new Error('the answer has no body');
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { id, event, data } of events) yield { id, event, data };
}

/** What the client gets to read of such frames. */
export function contentOf(frames: readonly Frame[]): string {
  const deltas = frames.filter(({ data, event }) => data !== '[DONE]' && event === undefined);
  return deltas.map(({ data }) => chunk.parse(JSON.parse(data)).choices[0]?.delta.content ?? '').join('');
}

/** Reads a streamed answer to its end; `onText` is called with the text so far at each piece of it. */
export async function readStream(response: Response, onText: (text: string) => void = () => undefined): Promise<ReadStream> {
  const read: ReadStream = { chunks: [], text: '', error: null, isDone: false };
  for await (const { data } of framesOf(response)) {
    if (data === '[DONE]') {
      read.isDone = true;
      continue;
    }
    const value: unknown = JSON.parse(data);
    const failed = errorFrame.safeParse(value);
    if (failed.success) {
      read.error = failed.data.error;
      continue;
    }
    const parsed = chunk.parse(value);
    read.chunks.push(parsed);
    const piece = parsed.choices[0]?.delta.content ?? '';
    if (piece === '') continue;
    read.text += piece;
    onText(read.text);
  }
  return read;
}
